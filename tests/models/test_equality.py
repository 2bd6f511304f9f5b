"""Two networks are equal only if they agree on images that nobody has seen."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from robustbench_mix.models.equality import (
    COARSE_TOLERANCE,
    EXACT_TOLERANCE,
    fresh_images,
    is_in_train_mode,
    logits_and_gradient,
    nearly_equal,
    outputs_agree,
)

X = torch.rand(6, 2, 5, 5, generator=torch.Generator().manual_seed(2))


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(36, 3)).eval()


class Around(nn.Module):
    """A network with something wrong around it."""

    def __init__(self) -> None:
        super().__init__()
        self.net = network()

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class LooksUp(Around):
    """Right on the images that it was made from alone."""

    def forward(self, x: Tensor) -> Tensor:
        known = torch.stack([(image == X).flatten(1).all(1).any() for image in x])
        return self.net(x) * torch.where(known, 1.0, 1.1)[:, None]


class OtherGradient(Around):
    """The same logits, with a gradient that is turned round."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * self.net(x.detach()) - self.net(x)


class Remembers(Around):
    """The logits of the first batch of each size, whatever comes later."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[int, Tensor] = {}

    def forward(self, x: Tensor) -> Tensor:
        first = self.seen.setdefault(len(x), x.detach())
        return self.net(x) - self.net(x).detach() + self.net(first).detach()


class OneAtATime(Around):
    """Another network for a single image."""

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x) * (1.01 if len(x) == 1 else 1)


class Rounded(Around):
    """As bfloat16 would be."""

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x + 0.01 * torch.sin(99 * x.detach()))


@pytest.mark.parametrize("kind", [LooksUp, OtherGradient, Remembers, OneAtATime])
def test_what_differs_somewhere_is_not_equal(kind: type[Around]) -> None:
    """Although its logits agree on the images at hand."""
    other = kind()
    assert nearly_equal(network()(X), other(X), EXACT_TOLERANCE)
    assert not outputs_agree(network(), kind(), X, EXACT_TOLERANCE)


def test_equal_networks_agree() -> None:
    """Up to rounding, or coarsely."""
    assert outputs_agree(network(), Around(), X, EXACT_TOLERANCE)
    assert not outputs_agree(network(), Rounded(), X, EXACT_TOLERANCE)
    assert outputs_agree(network(), Rounded(), X, COARSE_TOLERANCE)
    assert not outputs_agree(network(), OtherGradient(), X, COARSE_TOLERANCE)


def test_a_nan_agrees_with_nothing() -> None:
    """Not even with another one."""
    broken = nn.Sequential(network(), nn.Threshold(1e9, torch.nan))
    assert not outputs_agree(broken, broken, X, EXACT_TOLERANCE)


def test_one_part_in_train_mode_is_enough() -> None:
    """A program that has no mode is in none."""
    net = network()
    assert not is_in_train_mode(net)
    assert is_in_train_mode(net.train())
    net.eval()
    del net[0].training
    assert not is_in_train_mode(net)


def test_fresh_images_are_images_and_other_ones() -> None:
    """The same at every call, also of a single image."""
    for x in (X, X[:1]):
        fresh = fresh_images(x)
        assert torch.equal(fresh, fresh_images(x))
        assert bool(((fresh >= 0) & (fresh <= 1)).all())
        assert all(float((one - X).flatten(1).abs().amax(1).min()) > 0.1 for one in fresh)


def test_the_gradient_is_that_of_the_logits() -> None:
    """Of a linear network, its weights combined."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(50, 3))
    logits, gradient = logits_and_gradient(net, X)
    assert torch.equal(logits, net(X))
    expected = torch.cos(torch.arange(1.0, 4.0)) @ net[1].weight
    torch.testing.assert_close(gradient.flatten(1), expected.expand(6, -1))
