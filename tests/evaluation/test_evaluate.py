"""Carrying out a plan: every step once, and nothing again that is on disk."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import networks
import pytest
from torch import nn

from robustbench_mix.config import protocols
from robustbench_mix.config.model import ModelSpec
from robustbench_mix.data import loaders
from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation import evaluate as evaluation
from robustbench_mix.evaluation import inputs, load_model
from robustbench_mix.evaluation.attack_plan import attack_plan
from robustbench_mix.evaluation.data_plan import DataPlan
from robustbench_mix.evaluation.evaluate import evaluate
from robustbench_mix.evaluation.model_plan import module_plan, trained_model
from robustbench_mix.evaluation.plan import EvaluationPlan

pytestmark = [pytest.mark.default, pytest.mark.usefixtures("unexamined", "home")]


def plan_of(attack: str = "fgsm") -> EvaluationPlan:
    """A few digits, on the network that `lend` gives."""
    data = DataPlan("digits", 8)
    model = trained_model(ModelSpec(networks.MODEL, "frozen"))
    return EvaluationPlan(data=data, device="cpu", model=model, attack=attack_plan(attack))


def test_every_step_happens_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The data are loaded, the device and the schedule chosen once, and no protocol is opened."""
    lent = networks.load("frozen")
    monkeypatch.setattr(load_model, "load_or_train", lambda *_, **__: lent)
    calls: Counter[str] = Counter()

    def count(owner: object, name: str) -> None:
        real = getattr(owner, name)

        def counted(*args, **words):
            calls[name] += 1
            return real(*args, **words)

        monkeypatch.setattr(owner, name, counted)

    plan = plan_of()
    for owner, name in (
        (inputs, "pick_device"), (loaders, "load"), (evaluation, "schedule_of"),
        (protocols, "load"), (protocols, "parse"),
    ):  # fmt: skip
        count(owner, name)
    found = evaluate(plan, tmp_path)
    assert found.run.header.spatial == "frozen"
    assert calls == {"pick_device": 1, "load": 1, "schedule_of": 1}


def test_what_is_on_disk_is_read_unless_asked_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the same plan; another one is another run."""
    networks.lend(monkeypatch)
    plan = plan_of()
    first = evaluate(plan, tmp_path)
    assert [first.reused, evaluate(plan, tmp_path).reused] == [False, True]
    again = evaluate(plan, tmp_path, fresh=True)
    assert (again.reused, again.path) == (False, first.path)
    other = evaluate(replace(plan, data=DataPlan("digits", 9)), tmp_path)
    assert (other.reused, other.path == first.path) == (False, False)


def test_wrong_options_are_named_before_training(tmp_path: Path, monkeypatch) -> None:
    """A protocol's options are known to its algorithm alone."""
    monkeypatch.setattr(evaluation, "load_model", None)  # never called
    plan = plan_of()
    wrong = replace(plan.attack, protocol=replace(plan.attack.protocol, options={"stps": 3}))
    with pytest.raises(RbmixError, match="stps"):
        evaluate(replace(plan, attack=wrong), tmp_path)


def test_a_module_is_evaluated_as_it_is(tmp_path: Path) -> None:
    """Under the name of its class."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    found = evaluate(replace(plan_of(), model=module_plan(net, seed=3)), tmp_path)
    header = found.run.header
    assert [getattr(header, name) for name in ("model", "spatial", "channel", "seed")] == [
        "Sequential", "external", "external", 3
    ]  # fmt: skip
