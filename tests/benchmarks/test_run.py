"""The benchmark command: what it compares, how it reports, what it skips. Nothing about seconds."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from robustbench_mix import cli
from robustbench_mix.benchmarks import peers, run, table
from robustbench_mix.runtime import timing

CPU = torch.device("cpu")


def test_jobs_alternate(monkeypatch) -> None:
    """A B A B, one ratio for each pair, and the last results."""
    calls: list[str] = []
    ticks = iter([0.0, 6.0, 6.0, 8.0, 10.0, 11.0, 11.0, 13.0])
    monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    found, first, second = timing.time_ratios(
        lambda: calls.append("a") or len(calls), lambda: calls.append("b") or len(calls), 2, CPU
    )
    assert calls == ["a", "b", "a", "b"]
    assert (first, second) == (3, 4)
    assert found == [6 / 2, 1 / 2]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cached: Path) -> Path:
    """An empty working directory, and the cache that tests share."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.default
def test_quick_parts(here: Path, capsys, monkeypatch) -> None:
    """The chosen parts are measured and written; peers that are missing are named."""
    monkeypatch.setattr(peers, "is_usable", lambda name: name == "foolbox")
    code = cli.main(["bench", "--quick", "--parts", "steps,pgd", "--json"])
    out = json.loads(capsys.readouterr().out)
    assert code == 0
    rows = [row for part in out.values() for row in part["rows"]]
    works = [row["work"] for row in rows]
    assert sum("PGD-20 curve" in work for work in works) == 1
    assert sum("training step" in work for work in works) == 2
    skipped = {name for part in out.values() for name in part["skipped"]}
    assert skipped == {"timm", "torchattacks", "adversarial-robustness-toolbox"}
    text = (here / "results" / "benchmarks.md").read_text()
    assert text == table.to_markdown(table.from_json(out))
    assert "Not installed, so not measured:" in text


def test_parts_measured_before_stay(here: Path, capsys, monkeypatch) -> None:
    """A part replaces itself and leaves the others; a damaged file is refused."""
    row = table.Row("old work", "-", "-", [1.0])
    kept = {"memory": table.Part("elsewhere", [row]), "steps": table.Part("elsewhere", [row])}
    folder = here / "results"
    folder.mkdir()
    (folder / run.FILE).write_text(json.dumps(table.to_json(kept)))
    monkeypatch.setattr(run._Bench, "part", lambda self, name: ([replace(row, work=name)], []))
    assert cli.main(["bench", "--parts", "steps,pgd"]) == 0
    parts = table.from_json(json.loads((folder / run.FILE).read_text()))
    assert [(name, part.rows[0].work) for name, part in parts.items()] == [
        ("pgd", "pgd"),
        ("steps", "steps"),
        ("memory", "old work"),
    ]
    assert "on elsewhere." in (folder / "benchmarks.md").read_text()
    for damaged in ("[1]", json.dumps({"memory": {**asdict(kept["memory"]), "where": 1}})):
        (folder / run.FILE).write_text(damaged)
        capsys.readouterr()
        assert cli.main(["bench", "--parts", "pgd"]) == 2
        assert "benchmarks.json is damaged" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--parts", "steps,nothing"], "part 'nothing' is not one of"),
        (["--examples", "0"], "number of examples 0 must be at least 1"),
        (["--examples", "many"], "'many' is not a whole number"),
    ],
)
def test_wrong_words_are_named(here: Path, capsys, words: list[str], message: str) -> None:
    """One line, exit code 2, nothing written."""
    assert cli.main(["bench", *words]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert not list(here.iterdir())


@pytest.mark.slow
def test_quick_runs_every_part(here: Path, capsys) -> None:
    """Every part gives its rows, in the order of the table."""
    assert cli.main(["bench", "--quick"]) == 0
    text = (here / "results" / "benchmarks.md").read_text()
    for words in ("two-step", "passes of that curve", "trained adversarially", "audited curve",
                  "step on N-FGSM examples", "trained on n-fgsm examples, averaged"):  # fmt: skip
        assert words in text
    assert "OUTSIDE" not in text
    assert "peak memory" in text
    assert set(run.BENCHMARKS) >= {"two-step", "audited", "command"}
