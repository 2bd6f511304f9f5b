"""The model as attacks see it: counted, contiguous, and never silently broken."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from robustbench_mix.attacks.counted_model import CountedModel
from robustbench_mix.errors import RbmixError


def test_the_counted_model_gives_contiguous_gradients() -> None:
    """A channels_last network still hands the attack contiguous input gradients."""
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.Flatten()).to(memory_format=torch.channels_last)
    model.channels_last = True
    x = torch.rand(3, 2, 6, 5, requires_grad=True)
    counted = CountedModel(model)
    counted(x).sum().backward()
    assert x.grad.is_contiguous()
    assert (counted.passes.forward, counted.passes.gradient) == (3, 3)


def test_passes_are_counted_for_the_images_that_take_them() -> None:
    """Also where an image is there twice, and where only some of the batch are left."""
    model = CountedModel(nn.Flatten(), images=3)
    x = torch.rand(3, 1, 2, 2)
    model(x)
    model.take(torch.tensor([True, False, True]))(x[[0, 2]])
    model.take(torch.tensor([1, 1]))(x[[1, 1]])
    assert model.passes.each.tolist() == [[2, 3, 2], [0, 0, 0]]
    assert (model.passes.forward, model.passes.gradient) == (7, 0)
    model.reset_passes(2)
    assert (model.passes.forward, model.passes.each.tolist()) == (0, [[0, 0], [0, 0]])


class Detached(nn.Module):
    """Logits without a gradient."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1).detach()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Sequential(nn.Flatten(), nn.LogSoftmax(0), nn.Threshold(9.0, torch.nan)), "not finite"),
        (nn.Identity(), "needs one row of logits per image"),
        (Detached(), "no gradient flows"),
    ],
)
def test_a_broken_model_is_named(model: nn.Module, message: str) -> None:
    """An error, so that nothing takes it for a correct answer."""
    with pytest.raises(RbmixError, match=message):
        CountedModel(model)(torch.rand(2, 1, 2, 2).requires_grad_())
