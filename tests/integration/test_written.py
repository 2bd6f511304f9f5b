"""Only what changed is written and called written; what was there is read, and quickly."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from robustbench_mix import cli
from robustbench_mix.claims import html_report, page
from robustbench_mix.claims.analysis import analyse
from robustbench_mix.data import loaders
from robustbench_mix.results import leaderboard, plots, records
from robustbench_mix.storage import files

SMALL = ["--model", "resnet14_w4", "--epochs", "1", "--train-examples", "100"]
EVALUATE = ["evaluate", *SMALL, "--attack", "smoke", "--examples", "10"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cached: Path) -> Path:
    """An empty working folder, with the shared cache of checkpoints."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def results(tmp_path: Path, make_run) -> Path:
    """A folder with the records of a pair."""
    for spatial in ("learned", "frozen"):
        run = make_run([0, 1, 2], spatial=spatial, checkpoint_hash=spatial)
        records.write(run, records.run_path(tmp_path / "results", run.header, "k"))
    return tmp_path / "results"


def times(folder: Path) -> dict[Path, int]:
    """When each file was written last."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_what_holds_it_already_is_not_written(tmp_path: Path) -> None:
    """Text or bytes; what is missing or differs is."""
    content: dict[Path, str | bytes] = {tmp_path / "a": "ä\n", tmp_path / "b": b"\x00"}
    with files.record_written_files() as noted:
        assert files.write_if_changed(content) == list(content)
        assert noted == set(content)
    before = times(tmp_path)
    with files.record_written_files() as noted:
        assert files.write_if_changed(content) == []
        assert noted == set()
    assert times(tmp_path) == before
    (tmp_path / "a").write_text("other")
    assert files.write_if_changed(content) == [tmp_path / "a"]
    assert (tmp_path / "a").read_text(encoding="utf-8") == "ä\n"


def test_what_failed_is_not_called_written(tmp_path: Path) -> None:
    """A file that was not replaced is not among those noted."""
    with (
        files.record_written_files() as noted,
        pytest.raises(ZeroDivisionError),
        files.replacing(tmp_path / "a") as temporary,
    ):
        temporary.write_text(str(1 / 0))
    assert noted == set()


@pytest.mark.default
def test_derived_files_are_written_once(results: Path) -> None:
    """Leaderboard, curves, claims and report: a second time nothing changes."""

    def derive() -> list[Path]:
        runs = records.read_all(results)
        return [
            *leaderboard.write(results), *plots.write(results),
            *page.write(results, analyse(results, runs, [])), *html_report.write(results),
        ]  # fmt: skip

    first = derive()
    names = {path.name for path in first}
    assert {"leaderboard.csv", "leaderboard.md", "claims.md", "report.html"} < names
    assert any(path.suffix == ".svg" for path in first)
    before = times(results)
    assert derive() == []
    assert times(results) == before


def test_curves_are_drawn_when_records_changed_or_they_are_missing(results: Path, make_run) -> None:
    """A leaderboard that is up to date says that its curves are: it is written after them."""
    assert len(plots.refresh(results)) == 3
    assert plots.refresh(results) == []
    (curve,) = (results / "curves").glob("*.svg")
    drawn = curve.read_bytes()
    curve.unlink()
    assert plots.refresh(results) == [curve]
    assert curve.read_bytes() == drawn
    run = make_run([0, 0, 2], spatial="learned", checkpoint_hash="learned")
    records.write(run, records.run_path(results, run.header, "k"))
    changed = {path.name for path in plots.refresh(results)}
    assert changed == {"leaderboard.csv", "leaderboard.md", curve.name}
    assert curve.read_bytes() != drawn


def test_a_refresh_that_is_killed_is_made_good(results: Path, monkeypatch) -> None:
    """Between the curves and the leaderboard: the next one draws again."""
    plots.refresh(results)
    (curve,) = (results / "curves").glob("*.svg")
    whole = curve.read_bytes()
    (results / "leaderboard.csv").write_text("of other records")
    curve.write_text("half")
    changed = plots.refresh(results)
    assert {path.name for path in changed} == {"leaderboard.csv", curve.name}
    assert curve.read_bytes() == whole


@pytest.mark.default
def test_commands_say_when_nothing_changed(results: Path, capsys, monkeypatch) -> None:
    """And list what did."""
    monkeypatch.chdir(results.parent)
    for name in ("leaderboard", "claims", "report"):
        assert cli.main([name]) == 0
        assert "wrote" in capsys.readouterr().out
        assert cli.main([name]) == 0
        out = capsys.readouterr().out
        assert "wrote" not in out
        assert "nothing has changed" in out


@pytest.mark.default
def test_a_second_evaluation_reads(here: Path, capsys) -> None:
    """It says so, calls nothing written, touches no file, and its JSON names the records."""
    assert cli.main(EVALUATE) == 0
    (path,) = here.rglob("*.parquet")
    assert f"wrote {path.relative_to(here)}" in capsys.readouterr().out
    before = times(here)
    assert cli.main(EVALUATE) == 0
    out, err = capsys.readouterr()
    assert f"read {path.relative_to(here)}" in out
    assert "wrote" not in out
    assert "already evaluated" in err
    assert cli.main([*EVALUATE, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["paths"], found["records"]) == ([], str(path.relative_to(here)))
    assert times(here) == before


@pytest.mark.default
def test_explaining_twice_reads(here: Path, capsys) -> None:
    """Probes and transfer."""
    words = ["explain", *SMALL, "--examples", "10", "--eps", "1/16", "--spatial", "learned"]
    assert cli.main(words) == 0
    assert capsys.readouterr().out.count("wrote") == 1
    assert cli.main(words) == 0
    out = capsys.readouterr().out
    assert (out.count("wrote"), out.count("read results")) == (0, 1)


@pytest.mark.default
def test_a_second_run_imports_nothing_it_does_not_need(here: Path) -> None:
    """Neither the network nor a drawing is made: that takes libraries, which take seconds."""
    assert cli.main([*EVALUATE, "--quiet"]) == 0
    heavy = ("torchvision", "matplotlib", "sklearn", "foolbox", "timm")
    code = (
        f"import sys; from robustbench_mix.cli import main; main({EVALUATE!r}); "
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "already evaluated" in done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.default
def test_a_run_without_its_checkpoint_is_not_taken_as_read(here: Path, capsys) -> None:
    """What is read back is that of these weights: where they are gone, they are trained again."""
    words = [*EVALUATE, "--seed", "77"]
    assert cli.main(words) == 0
    (checkpoint,) = [
        path
        for path in loaders.cache_folder().rglob("resnet14_w4-*-s77-*.safetensors")
        if path.is_file()
    ]
    checkpoint.unlink()
    capsys.readouterr()
    assert cli.main(words) == 0
    assert "no checkpoint yet" in capsys.readouterr().err


def test_digits_are_those_of_scikit_learn() -> None:
    """Read from its file, without it."""
    images, labels = loaders._read_digits()
    raw = load_digits()
    assert np.array_equal(images, raw.images)
    assert np.array_equal(labels, raw.target)
