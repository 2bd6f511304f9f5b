"""foolbox's gradient attacks without their traps."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from robustbench_mix.attacks.base import Batch
from robustbench_mix.attacks.counted_model import CountedModel
from robustbench_mix.attacks.norms import distance
from robustbench_mix.attacks.reference.gradient_descent import descend
from robustbench_mix.attacks.streams import generators


class Bump(nn.Module):
    """Class 1 where the first pixel is between 0.62 and 0.68: a walk passes through."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        value = x[:, 0, 0, 0]
        wrong = ((value > 0.62) & (value < 0.68)) * 20.0
        return torch.stack([10 - self.scale * value, self.scale * value - 10 + 2 * wrong], 1)


def batch_of(norm: str = "linf", count: int = 2, eps: float = 0.4) -> Batch:
    """Grey images of class 0."""
    x, y = torch.full((count, 1, 1, 2), 0.5), torch.zeros(count, dtype=torch.int64)
    radius = torch.full((count,), eps, dtype=torch.float64)
    return Batch(x, y, radius, torch.arange(count), norm, range(count))


def test_an_iterate_that_succeeded_is_kept() -> None:
    """Though the walk goes on; foolbox would return its end, which fools nobody."""
    net = Bump()
    found = descend(CountedModel(net), batch_of(), steps=6, step_size=0.125, starts=None)
    assert found[:, 0, 0, 0].tolist() == pytest.approx([0.65, 0.65], abs=1e-6)
    assert (net(found).argmax(1) == 1).all()
    assert net.scale.grad is None


def test_without_success_it_is_the_last_iterate() -> None:
    """Which the network was not asked about."""
    model = CountedModel(Bump())
    found = descend(model, batch_of(eps=0.1), steps=3, step_size=0.25, starts=None)
    assert found[:, 0, 0, 0].tolist() == pytest.approx([0.575] * 2, abs=1e-6)
    assert (model.passes.forward, model.passes.gradient) == (6, 6)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_start_belongs_to_its_image(norm: str) -> None:
    """In any batch; within the ball."""
    found = []
    for rows in ([0, 1, 2, 3], [3, 1]):
        batch = batch_of(norm, len(rows), eps=0.05)
        starts = generators(rows, 0, "start")
        one = descend(CountedModel(Bump()), batch, steps=1, step_size=1e-6, starts=starts)
        assert (distance(one, batch.x, norm) <= 0.05 + 1e-6).all()
        found.append(one)
    assert torch.equal(found[0][[3, 1]], found[1])
    assert len(found[0].flatten(1).unique(dim=0)) == 4


def test_most_passes_decide_where_there_are_several() -> None:
    """An iterate that some passes alone get wrong does not count."""

    class Sometimes(nn.Module):
        def __init__(self, wrong: int) -> None:
            super().__init__()
            self.wrong, self.passes = wrong, 0

        def forward(self, x: Tensor) -> Tensor:
            is_wrong = self.passes % 4 < self.wrong
            self.passes += 1
            value = x[:, 0, 0, 0] * 1e-3
            return torch.stack([-value, value + (1.0 if is_wrong else -1.0)], 1)

    for wrong, first in ((2, False), (3, True)):
        model = CountedModel(Sometimes(wrong))
        found = descend(model, batch_of(), steps=3, step_size=0.25, starts=None, eot=4)
        # The first iterate is the image itself.
        assert torch.equal(found, batch_of().x) == first
        assert model.passes.forward == 2 * 3 * 4
