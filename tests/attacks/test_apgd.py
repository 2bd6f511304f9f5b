"""APGD: a step that halves where it stalls, from a point of each image's own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from robustbench_mix.attacks import losses
from robustbench_mix.attacks.base import Batch
from robustbench_mix.attacks.counted_model import CountedModel
from robustbench_mix.attacks.native.apgd import apgd, untargeted
from robustbench_mix.attacks.norms import distance

LOSS = untargeted(losses.cross_entropy)


def batch_of(norm: str, count: int = 4, eps: float = 0.2) -> Batch:
    """Grey images of class 0."""
    x, y = torch.full((count, 1, 2, 2), 0.5), torch.zeros(count, dtype=torch.int64)
    return Batch(x, y, torch.full((count,), eps), torch.arange(count) + 5, norm)


class Mean(nn.Module):
    """Class 1 where the mean pixel is above a threshold; three classes."""

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.threshold = threshold
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.detach().clone())
        value = x.mean((1, 2, 3)) - self.threshold
        return torch.stack([-value, value, torch.full_like(value, -9.0)], 1)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_every_point_is_in_the_ball(norm: str) -> None:
    """The first is on its surface, and each image's own in any batch."""
    net, batch = Mean(2.0), batch_of(norm)
    apgd(CountedModel(net), batch, LOSS, steps=12)
    assert len(net.seen) == 13
    for point in net.seen:
        assert (distance(point, batch.x, norm) <= 0.2 + 1e-5).all()
    torch.testing.assert_close(distance(net.seen[0], batch.x, norm), batch.eps.double())
    assert len(net.seen[0].flatten(1).unique(dim=0)) == 4
    other = Mean(2.0)
    apgd(CountedModel(other), batch.take(torch.tensor([3, 1])), LOSS, steps=1)
    assert torch.equal(other.seen[0], net.seen[0][[3, 1]])


@pytest.mark.parametrize(("norm", "reach"), [("linf", 0.2), ("l2", 0.1)])
def test_it_finds_the_end_of_a_slope(norm: str, reach: float) -> None:
    """The corner in l-infinity, the point along the gradient in l2: out of reach beyond it."""
    batch = batch_of(norm)
    for threshold, breaks in ((0.5 + 0.97 * reach, True), (0.5 + 1.03 * reach, False)):
        x_adv = apgd(CountedModel(Mean(threshold), images=4), batch, LOSS, steps=40)
        assert (Mean(threshold)(x_adv).argmax(1) == 1).tolist() == [breaks] * 4
        if not breaks:
            assert torch.equal(x_adv, batch.x)


def test_a_broken_image_leaves_unless_nothing_is_saved() -> None:
    """Passes stop with it; without an early stop all steps are taken."""
    batch = batch_of("linf")
    for early_stop in (True, False):
        model = CountedModel(Mean(0.55), images=4)
        x_adv = apgd(model, batch, LOSS, steps=20, early_stop=early_stop)
        assert (Mean(0.55)(x_adv).argmax(1) == 1).all()
        passes = model.passes.each[0]
        assert (passes < 10).all() if early_stop else (passes == 21).all()


def test_steps_halve_where_the_loss_swings() -> None:
    """About a ridge between two pixel values, where a fixed step would jump from side to side."""

    class Ridge(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.seen: list[float] = []

        def forward(self, x: Tensor) -> Tensor:
            value = -(x.mean((1, 2, 3)) - 0.53).abs()
            self.seen.append(value[0].item())
            return torch.stack([1 - value, value], 1)

    net = Ridge()
    apgd(CountedModel(net), batch_of("linf", 1), LOSS, steps=100)
    assert min(net.seen[:20]) < -0.1
    assert min(net.seen[-10:]) > -0.02


def test_a_target_class_is_given_to_the_loss() -> None:
    """One for each image; without one the loss sees the label."""
    batch, given = batch_of("linf", 2), []

    def loss(logits: Tensor, y: Tensor, target: Tensor) -> Tensor:
        given.append(target.tolist())
        return losses.cross_entropy(logits, y)

    apgd(CountedModel(Mean(2.0)), batch, loss, torch.tensor([1, 2]), steps=1)
    apgd(CountedModel(Mean(2.0)), batch, loss, steps=1)
    assert given == [[1, 2], [1, 2], [0, 0], [0, 0]]
