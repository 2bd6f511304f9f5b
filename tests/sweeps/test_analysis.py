"""From a sweep to what it is going to show."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from robustbench_mix import cli
from robustbench_mix.config import protocols
from robustbench_mix.results import records
from robustbench_mix.results.analysis_plan import read_all
from robustbench_mix.sweeps import definition
from robustbench_mix.sweeps.analysis import outcome, planned_sets
from robustbench_mix.sweeps.cell_plans import plan_sweep


@pytest.mark.quick
def test_evaluations_are_grouped_by_what_they_share() -> None:
    """Mixers and seeds together; another attack or channel mixer apart or beside."""
    sets = planned_sets(plan_sweep(definition.load("answer-digits", {"seeds": [0, 2]})))
    assert [one.attack for one in sets] == ["fgsm", "pgd", "autoattack"]
    first = sets[0]
    assert first.mixers == ["frozen/learned", "learned/frozen", "learned/learned"]
    assert (first.dataset, first.model, first.seeds) == ("digits", "resnet14_w8", [0, 2])
    assert (first.train_examples, first.epochs, first.examples) == (None, None, 300)
    assert first.protocol_hash == protocols.load("fgsm", "digits").hash


@pytest.mark.quick
def test_a_folder_is_planned_under_the_name_that_records_have(tmp_path: Path) -> None:
    """Not under its path, which is another one elsewhere."""
    folder = tmp_path / "my-images"
    for part in ("train", "test"):
        (folder / part / "cat").mkdir(parents=True)
    sweep = definition.load("answer-pair", {"datasets": [str(folder)]})
    assert {one.dataset for one in planned_sets(plan_sweep(sweep))} == {"my-images"}


@pytest.mark.quick
def test_the_outcome_is_that_of_its_own_networks(tmp_path: Path, make_run) -> None:
    """Runs of the planned attacks, models and seeds; other records in the folder are left out."""
    planned = plan_sweep(definition.load("answer-digits", {"seeds": [0], "examples": 3}))
    for change in ({}, {"model": "resnet20"}, {"seed": 7}):
        words = {"model": "resnet14_w8", "seed": 0, "protocol": "pgd", **change}
        run = make_run([0, 1, 2], **words)
        records.write(run, records.run_path(tmp_path, run.header, "k"))
    found = outcome(planned, tmp_path)
    assert found["unshufflings"] == []
    (row,) = found["networks"]
    assert row["network"] == "resnet14_w8, spatial learned, channel learned, digits"
    assert (row["seeds"], row["n"], row["accuracy"]["0"]) == (1, 3, 1.0)


@pytest.mark.default
def test_the_command_writes_the_plan_once(tmp_path: Path, capsys) -> None:
    """With margins and protocol hashes; nothing is trained."""
    words = ["sweep", "quick", "--plan", "--out", str(tmp_path), "--json"]
    assert cli.main(words) == 0
    capsys.readouterr()
    (plan,) = read_all(tmp_path)
    assert (plan.sweep, plan.size, plan.looks) == ("quick", 12, [])
    assert plan.margins["3c"] == 0.01
    (path,) = (tmp_path / "plans").iterdir()
    before = path.read_bytes()
    assert json.loads(before)["hash"] == plan.hash
    assert cli.main(words) == 0
    assert path.read_bytes() == before
    assert not (tmp_path / "runs").exists()


@pytest.mark.default
def test_the_command_recommends_a_design(tmp_path: Path, make_run, capsys) -> None:
    """From records of the same model; a width that makes no sense is refused."""
    for seed in range(3):
        for spatial in ("learned", "frozen"):
            run = make_run(
                [seed % 2, 0, 1] * 4, model="resnet14_w8", spatial=spatial, seed=seed,
                dataset="digits",
            )  # fmt: skip
            records.write(run, records.run_path(tmp_path, run.header, f"{spatial}{seed}"))
    words = ["sweep", "quick", "--plan", "--out", str(tmp_path), "--half-width", "40"]
    assert cli.main(words) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "frozen minus learned to within 40 points" in out
    assert "6 seeds x" in out
    assert cli.main([*words[:-1], "0"]) == 2
    assert "half-width 0 must be above 0" in capsys.readouterr().err
