"""FGSM of both engines: one step of length eps."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from robustbench_mix.attacks.base import Batch
from robustbench_mix.attacks.counted_model import CountedModel
from robustbench_mix.attacks.native import fgsm as native
from robustbench_mix.attacks.passes import Count
from robustbench_mix.attacks.reference import fgsm as reference
from robustbench_mix.errors import RbmixError

SLOPE = torch.tensor([3.0, -4.0])


class Slope(nn.Module):
    """Two classes whose margin falls along `SLOPE`."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        value = x.flatten(1) @ SLOPE
        return torch.stack([-value, value], 1)


def batch_of(*eps: float, norm: str = "linf") -> Batch:
    """Grey images of two pixels and class 0."""
    n = len(eps)
    x, y = torch.full((n, 1, 1, 2), 0.5), torch.zeros(n, dtype=torch.int64)
    return Batch(x, y, torch.tensor(eps), torch.arange(n), norm, range(n))


@pytest.mark.parametrize(("norm", "direction"), [("linf", [1, -1]), ("l2", [0.6, -0.8])])
def test_the_direction_has_length_one(norm: str, direction: list[float]) -> None:
    """In the norm, whatever the length of the gradient; it costs a pass of either kind."""
    batch = batch_of(0.1, 0.1)
    model = CountedModel(Slope(), images=2)
    found = native.fgsm_direction(model, batch.x, batch.y, norm)
    torch.testing.assert_close(found, torch.tensor(direction).float().expand(2, 1, 1, 2))
    assert model.passes.each.tolist() == [[1, 1], [1, 1]]
    # The other class loses along the other direction.
    other = native.fgsm_direction(model, batch.x, 1 - batch.y, norm)
    torch.testing.assert_close(other, -found)


@pytest.mark.parametrize(("norm", "direction"), [("linf", [1, -1]), ("l2", [0.6, -0.8])])
def test_both_engines_take_the_same_step(norm: str, direction: list[float]) -> None:
    """As far as each image's eps on the fast engine."""
    x_adv = native.fgsm(CountedModel(Slope()), batch_of(0.1, 0.3, norm=norm))
    steps = torch.tensor([0.1, 0.3])[:, None, None, None] * torch.tensor(direction)
    torch.testing.assert_close(x_adv, 0.5 + steps)
    (stage,) = reference.fgsm_stages(2)
    assert torch.allclose(stage.attack(CountedModel(Slope()), batch_of(0.3, norm=norm)), x_adv[1:])


def test_the_fast_engine_needs_no_stage() -> None:
    """Placing an image on the grid is FGSM; only an exhaustive run has one."""
    assert native.fgsm_stages(10) == []
    (stage,) = native.fgsm_stages(10, early_stop=False)
    assert (stage.name, stage.passes(torch.zeros(1), "l2")) == ("fgsm", Count(1, 1))
    assert stage.counts_per_image


def test_means_over_passes() -> None:
    """The reference engine's gradient may be a sum of several."""
    (stage,) = reference.fgsm_stages(10, eot=4)
    assert stage.passes(torch.zeros(1), "l2") == Count(4, 4)
    model = CountedModel(Slope())
    stage.attack(model, batch_of(0.1))
    assert (model.passes.forward, model.passes.gradient) == (4, 4)
    with pytest.raises(RbmixError, match="option eot = 0"):
        reference.fgsm_stages(10, eot=0)
