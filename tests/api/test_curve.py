"""`curve`: a whole curve of a given network in one call."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import robustbench_mix as rbmix
from robustbench_mix import curve
from robustbench_mix.errors import RbmixError


@pytest.fixture
def case(linear_case):
    """A linear model, its images and labels, one label wrong."""
    model, split = linear_case(10)
    x, y = split.pixels(), split.labels.clone()
    y[3] = (y[3] + 1) % 10
    return model, x, y


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_curve_in_one_call(case, norm: str) -> None:
    """Counts, intervals, levels and examples agree with each other and with the truth."""
    model, x, y = case
    grid = {"linf": ["1/255", 0.01, 0.03], "l2": [0.1, 0.02, 0.2]}[norm]
    found = curve(model, x, y, eps=grid, norm=norm, steps=40, queries=50)
    radii = sorted(float(e) if not isinstance(e, str) else 1 / 255 for e in grid)
    assert found.table["correct"].tolist() == [int((found.level >= at).sum()) for at in range(4)]
    assert found.table["correct"][0] == 15
    assert (found.table["low"] <= found.table["accuracy"]).all()
    assert found.level[3] == -1
    distances = model.distances(x, y, norm)
    for row, level in enumerate(found.level.tolist()):
        if level < 0 or level == 3:
            assert torch.equal(found.x_adv[row], x[row])
        else:
            assert radii[level] >= distances[row] * (1 - 1e-6)
            assert model(found.x_adv[row : row + 1]).argmax() != y[row]
            moved = (found.x_adv[row].double() - x[row].double()).flatten()
            size = moved.abs().max() if norm == "linf" else moved.norm()
            assert size <= radii[level]
    assert found.passes["fgsm"]["gradient"] == 15  # of each image that is classified correctly


def test_bad_tensors_are_named(case) -> None:
    """Pixels outside [0, 1], shapes that do not fit, an empty grid."""
    model, x, y = case
    for given, message in (
        ((x * 255, y, [0.1]), "needs pixels in"),
        ((x[0], y, [0.1]), "needs images"),
        ((x, y[:3], [0.1]), "needs one label per image"),
        ((x, y, []), "the epsilon grid is empty"),
        ((x, y, ["a/b"]), "epsilon 'a/b' is not a positive number"),
        ((x, y, [8]), "epsilon '8' is above 1.*did you mean 8/255"),
        ((x, y - 1, [0.1]), "needs integers from 0"),
    ):
        with pytest.raises(RbmixError, match=message):
            curve(model, *given)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        rbmix.nothing  # noqa: B018


@pytest.mark.parametrize(
    "eps", [8 / 255, "8/255", [8 / 255], ["0.03137254902"], np.float32(8 / 255)]
)
def test_an_epsilon_is_the_same_in_any_form(case, eps) -> None:
    """One or several, text or number."""
    model, x, y = case
    found = curve(model, x, y, eps, attack="pgd", steps=3)
    assert found.table["eps_text"].tolist() == ["0", "8/255"]


def test_arrays_do_as_well_as_tensors(case) -> None:
    """And the norm may be spelled as usual."""
    model, x, y = case
    given = {"eps": "0.1", "attack": "pgd", "steps": 3}
    found = curve(model, x.numpy(), y.numpy(), norm="L2", **given)
    assert torch.equal(found.x_adv, curve(model, x, y, norm="l2", **given).x_adv)


def test_it_is_the_curve_of_evaluate(case) -> None:
    """With its flags; and each example breaks its image."""
    model, x, y = case
    result = rbmix.evaluate(model, (x, y), "pgd", eps=["0.005", "0.02"])
    found = curve(model, x, y, ["0.005", "0.02"], attack="pgd")
    assert found.table.equals(result.curve)
    assert found.flags == result.flags
    broken = (found.level >= 0) & (found.level < 2)
    assert (model(found.x_adv).argmax(1) != y)[broken].all()


class Sharp(torch.nn.Module):
    """A network whose cross-entropy has no gradient: its logits are far apart."""

    def __init__(self, net: torch.nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 1e7 * self.net(x)


def test_saturated_logits_are_flagged(case) -> None:
    """As by `evaluate`: nothing stands unsaid because its gradients vanish."""
    model, x, y = case
    sharp = Sharp(model)
    flags = rbmix.evaluate(sharp, (x, y), "pgd", eps=["0.02"]).flags
    assert "zero-gradients" in flags
    assert curve(sharp, x, y, "0.02", attack="pgd").flags == flags


@pytest.mark.parametrize("attack", ["autoattack", "noise"])
def test_the_reference_engine_gives_examples_too(case, attack: str) -> None:
    """Where the fast one does not run: in l1, and for noise."""
    model, x, y = case
    options = {"noise": {}, "autoattack": {"components": ["apgd-ce"], "steps": 20}}[attack]
    norm, eps = {"noise": ("linf", "0.3"), "autoattack": ("l1", "0.8")}[attack]
    found = curve(model, x, y, eps, norm=norm, attack=attack, **options)
    broken = found.level == 0
    assert broken.any()
    assert (model(found.x_adv).argmax(1) != y)[broken].all()
    moved = (found.x_adv.double() - x.double()).flatten(1)
    size = moved.abs().amax(1) if norm == "linf" else moved.abs().sum(1)
    assert (size <= float(eps)).all()
