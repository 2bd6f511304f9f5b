"""The tasks of a sweep: what is left, and how long it takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from robustbench_mix import cli
from robustbench_mix.config.model import ModelSpec
from robustbench_mix.evaluation.data_plan import DataPlan
from robustbench_mix.evaluation.model_plan import trained_model
from robustbench_mix.evaluation.plan import TrainingPlan
from robustbench_mix.sweeps import plan as planning
from robustbench_mix.sweeps.cost_model import CostModel
from robustbench_mix.sweeps.plan import Task

pytestmark = pytest.mark.default


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
