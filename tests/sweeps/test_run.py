"""Sweeps: what a file asks for, what is missing, and that nothing is done twice."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from robustbench_mix import cli
from robustbench_mix.config.model import ModelSpec
from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation import evaluate
from robustbench_mix.evaluation.load_model import check_exists
from robustbench_mix.evaluation.plan import DataPlan, TrainingPlan, trained_model
from robustbench_mix.evaluation.resume import Shard
from robustbench_mix.results import records
from robustbench_mix.runtime import devices
from robustbench_mix.sweeps import cell_plans, definition
from robustbench_mix.sweeps import plan as planning
from robustbench_mix.sweeps.cost_model import CostModel
from robustbench_mix.sweeps.definition import Cell, UnshufflingCell, parse
from robustbench_mix.sweeps.plan import Task

pytestmark = pytest.mark.default

TINY = """
summary = "as small as it gets"

[[grid]]
models = ["resnet14_w4"]
spatial = ["learned", "frozen"]
seeds = [0]
attacks = ["fgsm", "smoke"]
examples = 10
epochs = 1
train_examples = 60

[[unshuffle]]
width = [4]
depth = [1]
kernel = [3]
epochs = 1
train_examples = 60
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cached: Path, unexamined: None) -> Path:
    """A working directory with a tiny sweep, and the cache that tests share."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.toml").write_text(TINY)
    return tmp_path


@pytest.mark.quick
def test_a_grid_is_every_combination() -> None:
    """Twins side by side, nothing twice, defaults where the table is silent."""
    table = {
        "models": ["resnet14"], "spatial": ["learned", "frozen"], "seeds": [1, 2],
        "attacks": ["fgsm"], "examples": 9,
    }  # fmt: skip
    found = parse({"grid": [table, table]}, "x", {})
    assert found.cells == [
        Cell(ModelSpec("resnet14", spatial, "learned", seed), "digits", ("fgsm",), 9)
        for seed in (1, 2)
        for spatial in ("learned", "frozen")
    ]
    found = parse({"unshuffle": [{"depth": [2, 3]}]}, "x", {"seeds": [4]})
    assert found.unshuffling_cells == [
        UnshufflingCell(128, depth, 5, spatial, 4, "digits")
        for depth in (2, 3)
        for spatial in ("learned", "frozen")
    ]


@pytest.mark.parametrize("name", definition.shipped_sweeps())
def test_shipped_sweeps_can_be_read(name: str) -> None:
    """Each has a summary, and every name in it is known."""
    sweep = definition.load(name, {})
    assert sweep.summary
    assert sweep.cells or sweep.unshuffling_cells
    planned = cell_plans.plan_sweep(sweep)
    for plan in planned.cells:
        check_exists(plan.training.model)
    assert len(planned.cells) == len(sweep.cells)


@pytest.mark.quick
def test_the_papers_grid_is_the_papers() -> None:
    """Five depths, three variants, five seeds, three attacks."""
    cells = definition.load("fig8", {}).cells
    assert len(cells) == 5 * 3 * 5
    assert {cell.attacks for cell in cells} == {("fgsm", "pgd", "autoattack")}
    variants = {(cell.spec.spatial, cell.spec.channel) for cell in cells}
    assert variants == {("learned", "learned"), ("frozen", "learned"), ("learned", "frozen")}


@pytest.mark.quick
def test_changes_replace_what_the_file_says() -> None:
    """For a laptop: another data set, fewer seeds."""
    cells = definition.load("fig8", {"datasets": ["digits"], "seeds": [3], "examples": 5}).cells
    assert {(c.dataset, c.spec.seed, c.examples) for c in cells} == {("digits", 3, 5)}
    assert len(cells) == 15


@pytest.mark.quick
@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({}, "no [[grid]] and no [[unshuffle]]"),
        ({"grids": []}, "unknown field 'grids'"),
        ({"grid": {"models": ["resnet14"]}}, "write [[grid]], a list of tables"),
        ({"grid": [{"model": ["resnet14"]}]}, "unknown field 'model'"),
        ({"grid": [{"models": "resnet14"}]}, "must be a list of texts, not empty"),
        ({"grid": [{"seeds": []}]}, "must be a list of whole numbers, not empty"),
        ({"grid": [{"seeds": [0, True]}]}, "'seeds' holds True"),
        ({"grid": [{"seeds": [-1]}]}, "seed -1 is out of range"),
        ({"grid": [{"examples": -3}]}, "'examples' holds -3"),
        ({"grid": [{"adversarial": 1}]}, "'adversarial' holds 1 (allowed: true or false)"),
        ({"grid": [{"spatial": ["frosen"]}]}, "unknown spatial 'frosen'"),
        ({"unshuffle": [{"models": ["resnet14"]}]}, "unknown field 'models'"),
        ({"unshuffle": [{"spatial": ["frosen"]}]}, "unknown spatial 'frosen'"),
        ({"summary": 3, "grid": [{}]}, "field 'summary' must be a text"),
    ],
)
def test_wrong_files_are_named(raw: dict, message: str) -> None:
    """The field and the value, in one line."""
    with pytest.raises(RbmixError) as error:
        parse(raw, "x", {})
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_second_call_does_only_what_is_missing(here: Path, capsys) -> None:
    """Everything once; then nothing; then what was deleted, to the same bytes."""
    assert cli.main(["sweep", "tiny.toml"]) == 0
    err = capsys.readouterr().err
    assert "[1/8] train resnet14_w4, spatial learned" in err
    runs = here / "results" / "runs" / "digits"
    before = {path.name: path.read_bytes() for path in runs.glob("*.parquet")}
    assert len(before) == 4
    assert (here / "results" / "leaderboard.md").exists()
    assert (here / "results" / "unshuffle.md").exists()
    assert cli.main(["sweep", "tiny.toml"]) == 0
    out = capsys.readouterr()
    assert "everything is done" in out.out
    assert "[1/" not in out.err
    next(runs.glob("*frozen*fgsm*.parquet")).unlink()
    assert cli.main(["sweep", "tiny.toml"]) == 0
    assert "[1/1] fgsm on resnet14_w4, spatial frozen" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in runs.glob("*.parquet")} == before


def test_what_a_process_killed_at_its_end_left_is_cleared_away(here: Path, capsys) -> None:
    """A task that is done is visited once more, for nothing but that."""
    assert cli.main(["sweep", "tiny.toml"]) == 0
    records = next(here.rglob("runs/*/*.parquet"))
    decoded = next(here.rglob("unshuffle/*/*.parquet"))
    before = {path: path.read_bytes() for path in (records, decoded)}
    left = [records.with_suffix(".partial.json"), decoded.with_suffix(".unfinished.pt")]
    for path in left:
        path.write_bytes(b"half")
    capsys.readouterr()
    assert cli.main(["sweep", "tiny.toml"]) == 0
    assert "[2/2]" in capsys.readouterr().err
    assert not any(path.exists() for path in left)
    assert {path: path.read_bytes() for path in before} == before


def test_the_plan_says_what_is_left_and_how_long(here: Path, capsys, monkeypatch) -> None:
    """Without doing it; estimates are what a step or a pass takes, as often as it is needed."""
    monkeypatch.setattr(CostModel, "_time_training_step", lambda *_: 2.0)
    monkeypatch.setattr(CostModel, "_time_attack_passes", lambda *_: (1.0, 10.0))
    words = ["sweep", "tiny.toml", "--plan", "--seeds", "7", "--attacks", "fgsm", "--json"]
    assert cli.main([*words, "--models", "resnet20_w4"]) == 0
    tasks = json.loads(capsys.readouterr().out)["pieces"]
    assert [task["kind"] for task in tasks] == ["train", "attack"] * 2 + ["unshuffle"] * 2
    assert all("resnet20_w4" in task["words"] for task in tasks[:4])
    assert not any(task["done"] for task in tasks)
    # One batch of 60 images; three passes and a gradient of ten.
    assert [task["seconds"] for task in tasks] == [2, 10 * (3 + 10)] * 2 + [2] * 2
    assert not list(here.rglob("*.parquet"))


def test_the_tasks_of_a_sweep_are_those_of_the_commands(here: Path, capsys) -> None:
    """What `rbmix evaluate` has done counts as done."""
    words = ["--model", "resnet14_w4", "--epochs", "1", "--train-examples", "60"]
    assert cli.main(["evaluate", *words, "--attack", "fgsm", "--examples", "10"]) == 0
    setting = planning.SweepSetting(str(here / "results"), torch.device("cpu"))
    tasks = planning.plan_tasks(cell_plans.plan_sweep(definition.load("tiny.toml", {})), setting)
    done = [(p.kind, p.attack) for p in tasks if p.is_done and "spatial learned" in p.description]
    assert ("attack", "fgsm") in done
    assert ("attack", "smoke") not in done


def test_a_task_that_fails_does_not_stop_the_others(here: Path, capsys, monkeypatch) -> None:
    """It is named at the end, with exit code 2."""
    attacked: list[str] = []
    really = evaluate.evaluate

    def failing(plan, results):
        attacked.append(plan.model.spec.spatial)
        if plan.model.spec.spatial == "learned":
            raise RbmixError("the training loss became nan")
        return really(plan, results)

    monkeypatch.setattr(evaluate, "evaluate", failing)
    assert cli.main(["sweep", "tiny.toml"]) == 2
    out = capsys.readouterr().out
    assert out.count("failed: ") == 2
    assert "the training loss became nan" in out
    assert attacked == ["learned", "learned", "frozen", "frozen"]
    assert len(records.read_all(here / "results")) == 2


@pytest.mark.quick
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fig9"], "unknown sweep 'fig9'; did you mean 'fig8'?"),
        (["./nowhere.toml"], "cannot read sweep"),
        (["tiny.toml", "--dataset", "cifar11"], "unknown data set 'cifar11'"),
        (["tiny.toml", "--attacks", "pdg"], "unknown attack 'pdg'"),
        (["tiny.toml", "--seeds", "one"], "'one' is not a list of whole numbers"),
        (["tiny.toml", "--precision", "fp8"], "unknown precision 'fp8'"),
    ],
)
def test_wrong_words_are_named(here: Path, capsys, words: list[str], message: str) -> None:
    """One line, exit code 2, nothing written."""
    assert cli.main(["sweep", *words]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert not list(here.rglob("*.parquet"))


def test_costs_grow_with_the_work() -> None:
    """Twice the images, twice the time; adversarial training costs more."""
    from robustbench_mix.config.training import Adversarial, recipe_for
    from robustbench_mix.models.factory import Shape

    costs = CostModel(torch.device("cpu"))
    spec, shape = ModelSpec("resnet14_w4"), Shape(1, 8, 10)
    recipe = recipe_for("resnet", "digits")
    cost = costs.training_seconds(spec, shape, recipe, 640)
    assert costs.training_seconds(spec, shape, recipe, 1280) == pytest.approx(2 * cost)
    assert (
        costs.training_seconds(spec, shape, replace(recipe, adversarial=Adversarial("1/16")), 640)
        > cost
    )


SPLIT = """
[[grid]]
models = ["resnet14_w4"]
spatial = ["learned"]
attacks = ["smoke", "autoattack-audited"]
epochs = 1
train_examples = 60
examples = 140
"""


def test_a_long_attack_is_split_and_joined(here: Path, capsys, monkeypatch) -> None:
    """Into batches at most; what is killed between is not done again; the bytes are the same."""
    (here / "split.toml").write_text(SPLIT)
    monkeypatch.setattr(devices, "CPU_BATCH", 32)  # 128 digits
    assert cli.main(["sweep", "split.toml", "--attacks", "smoke", "--out", "whole"]) == 0
    monkeypatch.setattr(planning, "MAX_ATTACK_SECONDS", 1e-9)
    capsys.readouterr()
    assert cli.main(["sweep", "split.toml", "--out", "parts", "--plan", "--json"]) == 0
    tasks = json.loads(capsys.readouterr().out)["pieces"]
    # An audit draws its sample from all images: it stays whole.
    assert [task["kind"] for task in tasks] == ["train", "shard", "shard", "attack", "attack"]
    assert [task["words"].split(" of")[0] for task in tasks[1:3]] == ["part 1/2", "part 2/2"]

    attack, calls = evaluate.attack_shard, []

    def once(plan, results, shard):
        calls.append(shard.number)
        if len(calls) == 2:
            raise KeyboardInterrupt
        attack(plan, results, shard)

    monkeypatch.setattr(evaluate, "attack_shard", once)
    words = ["sweep", "split.toml", "--attacks", "smoke", "--out", "parts"]
    assert cli.main(words) == 130
    assert len(list((here / "parts").rglob("*.shard-1-of-2.json"))) == 1
    monkeypatch.setattr(planning, "MAX_ATTACK_SECONDS", 1e9)  # it stays split as it was
    assert cli.main(words) == 0
    assert calls == [1, 2, 2]
    found, wanted = (
        {p.relative_to(here / name): p.read_bytes() for p in (here / name).rglob("*.parquet")}
        for name in ("parts", "whole")
    )
    assert found == wanted
    assert len(found) == 1
    assert not list((here / "parts").rglob("*.shard-*"))
    capsys.readouterr()
    assert cli.main([*words, "--json"]) == 0
    assert all(task["done"] for task in json.loads(capsys.readouterr().out)["pieces"])


@pytest.mark.quick
def test_shards_are_all_images_in_order() -> None:
    """Each image in one of them, as near to equal as can be."""
    for images, of in ((10, 3), (300, 7), (2, 2)):
        parts = [list(Shard(number, of).rows(images)) for number in range(1, of + 1)]
        assert [row for part in parts for row in part] == list(range(images))
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_how_far_a_sweep_is(here: Path, capsys, monkeypatch) -> None:
    """Any machine that sees the results sees it, while it runs and afterwards."""
    really, during = evaluate.evaluate, []

    def watching(plan, results):
        if not during:
            capsys.readouterr()
            assert cli.main(["status", "--json"]) == 0
            during.append(json.loads(capsys.readouterr().out)["sweeps"][0])
        elif plan.model.spec.spatial == "frozen":
            raise RbmixError("the training loss became nan")
        return really(plan, results)

    monkeypatch.setattr(evaluate, "evaluate", watching)
    assert cli.main(["sweep", "tiny.toml"]) == 2
    assert during[0]["sweep"] == "tiny"
    seen = [task["state"] for task in during[0]["pieces"]]
    assert (seen[0], seen[1], seen.count("at work")) == ("done", "at work", 1)
    capsys.readouterr()
    assert cli.main(["status"]) == 0
    said = capsys.readouterr().out
    assert "tiny: 1 process" in said
    assert said.count("failed since") == 2
    assert "the training loss became nan" in said
    (path,) = (here / "results" / "progress").iterdir()
    path.write_text(path.read_text().replace('"done"', '"gone"', 1))
    assert cli.main(["status"]) == 2
    assert f"{Path('results/progress/tiny.json')} is damaged" in capsys.readouterr().err


@pytest.mark.quick
def test_no_sweep_has_no_status(here: Path, capsys) -> None:
    """It is said in one line, and so is a folder that is not there."""
    (here / "empty").mkdir()
    for folder, said in (("empty", "no sweep has been run into"), ("gone", "does not exist")):
        assert cli.main(["status", folder]) == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert said in line


@pytest.mark.quick
def test_how_long_it_takes_with_many_at_once() -> None:
    """Nothing begins before what it needs; what is done takes no time."""
    plan = TrainingPlan(data=DataPlan("digits"), model=trained_model(ModelSpec("resnet14")))

    def task(words: str, seconds: float, makes: str = "", needs=(), done: bool = False):
        return Task("attack", "n", words, plan, done, seconds, makes, needs)

    tasks = [
        task("train", 5.0, makes="net"),
        *(task(f"attack {n}", 3.0, needs=("net",)) for n in range(4)),
        task("other", 4.0),
        task("done", 99.0, done=True),
    ]
    assert planning.makespan_seconds(tasks, 1) == 5 + 4 * 3 + 4
    assert (
        planning.makespan_seconds(tasks, 2) == 5 + 6
    )  # the other is done while the first is trained
    assert planning.makespan_seconds(tasks, 99) == 5 + 3
    assert planning.makespan_seconds([], 3) == 0
