"""Estimates of the time that work takes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from robustbench_mix.config import protocols
from robustbench_mix.config.model import ModelSpec, Unshuffler
from robustbench_mix.config.training import Adversarial, NFgsm, recipe_for
from robustbench_mix.evaluation.probe import probe_passes
from robustbench_mix.evaluation.transfer import transfer_passes
from robustbench_mix.models.factory import Shape
from robustbench_mix.sweeps import cost_model
from robustbench_mix.sweeps.cost_model import CostModel


@pytest.mark.default
def test_costs_grow_with_the_work() -> None:
    """Twice the images, twice the time; adversarial training costs more."""
    costs = CostModel(torch.device("cpu"))
    spec, shape = ModelSpec("resnet14_w4"), Shape(1, 8, 10)
    recipe = recipe_for("resnet", "digits")
    cost = costs.training_seconds(spec, shape, recipe, 640)
    assert costs.training_seconds(spec, shape, recipe, 1280) == pytest.approx(2 * cost)
    assert (
        costs.training_seconds(spec, shape, replace(recipe, adversarial=Adversarial("1/16")), 640)
        > cost
    )


CPU, SPEC, SHAPE = torch.device("cpu"), ModelSpec("resnet14_w4"), Shape(1, 8, 10)
FORWARD, GRADIENT = 0.25, 2.0  # seconds of a pass of one image
STEP = 3.0  # seconds of a step of training


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Passes and steps that take as long as above; the list is of what was timed."""
    calls: list[object] = []

    def passes(self: CostModel, *what: object) -> tuple[float, float]:
        calls.append(what)
        return FORWARD, GRADIENT

    def step(self: CostModel, *what: object) -> float:
        calls.append(what)
        return STEP

    monkeypatch.setattr(CostModel, "_time_attack_passes", passes)
    monkeypatch.setattr(CostModel, "_time_training_step", step)
    return calls


@pytest.mark.parametrize(
    ("name", "options", "passes"),
    [
        ("autoattack", {}, cost_model.PASSES["autoattack"]),
        ("fgsm", {}, cost_model.PASSES["fgsm"]),
        ("pgd", {"steps": 10, "restarts": 4}, (60, 60)),
        ("pgd", {}, (30, 30)),
    ],
)
def test_passes_are_counted_or_follow_from_the_steps(name: str, options, passes) -> None:
    """Half as many again, for the epsilons of the grid."""
    protocol = replace(protocols.load(name, "digits"), options=options)
    assert cost_model.passes_per_image(protocol) == passes


def test_an_attack_costs_its_passes(timed: list[object]) -> None:
    """A network is timed once, whatever its seed and mixers."""
    costs = CostModel(CPU)
    fgsm = protocols.load("fgsm", "digits")
    assert costs.attack_seconds(SPEC, SHAPE, fgsm, 10) == 10 * (3 * FORWARD + GRADIENT)
    other = replace(SPEC, spatial="frozen", seed=7)
    assert costs.attack_seconds(other, SHAPE, fgsm, 20) == 20 * (3 * FORWARD + GRADIENT)
    assert timed == [("resnet14_w4", SHAPE)]
    costs.attack_seconds(SPEC, Shape(3, 32, 10), fgsm, 1)
    assert len(timed) == 2


def test_training_costs_its_steps(timed: list[object]) -> None:
    """A batch that is not full is a step too; adversarial steps are passes besides."""
    costs, recipe = CostModel(CPU), replace(recipe_for("resnet", "digits"), epochs=4, batch_size=32)
    assert costs.training_seconds(SPEC, SHAPE, recipe, 65) == STEP * 3 * 4
    adversarial = Adversarial("1/16", steps=7)
    assert costs.training_seconds(
        replace(SPEC, seed=3), SHAPE, replace(recipe, adversarial=adversarial), 65
    ) == STEP * 3 * 4 + 7 * 65 * 4 * (FORWARD + GRADIENT)
    assert costs.training_seconds(
        SPEC, SHAPE, replace(recipe, n_fgsm=NFgsm("1/16")), 65
    ) == STEP * 3 * 4 + 65 * 4 * (FORWARD + GRADIENT)
    assert len(timed) == 2  # one step of training, one pass of an attack
    unshuffler = Unshuffler(4, 1, 3)
    assert costs.unshuffling_seconds(unshuffler, SHAPE, recipe, 64) == STEP * 2 * 4


def test_an_explanation_costs_two_probes_and_a_transfer(timed: list[object]) -> None:
    """Of the network and its twin."""
    one, between = probe_passes(5, 2, 8, 8), transfer_passes(5, 2)
    forward, gradient = (2 * a + b for a, b in zip(one, between, strict=True))
    wanted = forward * FORWARD + gradient * GRADIENT
    assert CostModel(CPU).explanation_seconds(SPEC, SHAPE, 5, 2) == pytest.approx(wanted)


def test_the_fastest_run_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """After one that is not timed: it compiles and allocates."""
    calls: list[int] = []
    seconds = iter([3.0, 1.0, 2.0])
    monkeypatch.setattr(cost_model, "time_call", lambda step, _: (next(seconds), step()))
    assert cost_model.fastest_seconds(lambda: calls.append(0), CPU) == 1.0
    assert len(calls) == 1 + cost_model.REPEATS


def test_a_gradient_pass_is_what_is_left_of_both(monkeypatch: pytest.MonkeyPatch) -> None:
    """Per image, and never less than nothing."""
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2))
    x = torch.rand(4, 1, 2, 2)
    for both, wanted in ((6.0, (0.5, 1.0)), (1.0, (0.5, 0.0))):
        found = iter([both, 2.0])
        monkeypatch.setattr(cost_model, "fastest_seconds", lambda *_, found=found: next(found))
        assert cost_model.seconds_per_pass(model, x) == wanted
