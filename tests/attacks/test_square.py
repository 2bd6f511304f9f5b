"""Square: every query is in the ball, and the margin falls query by query."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from robustbench_mix.attacks.base import Batch
from robustbench_mix.attacks.counted_model import CountedModel
from robustbench_mix.attacks.native.square import expected_queries, square
from robustbench_mix.attacks.norms import distance


class Far(nn.Module):
    """Two classes, of which the first is always right; it keeps what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.clone())
        value = x[:, :, ::2].mean((1, 2, 3))
        return torch.stack([5 - value, value - 5], 1)


def batch_of(norm: str, count: int = 3, eps: float = 0.2) -> Batch:
    """Grey images of class 0."""
    x, y = torch.full((count, 2, 10, 10), 0.5), torch.zeros(count, dtype=torch.int64)
    return Batch(x, y, torch.full((count,), eps), torch.arange(count) + 3, norm)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_every_query_fills_the_ball(norm: str) -> None:
    """Up to rounding; all queries are asked where nothing is saved."""
    net, batch = Far(), batch_of(norm)
    found = square(CountedModel(net, images=3), batch, queries=30, early_stop=False)
    assert len(net.seen) == 31
    for point in net.seen:
        torch.testing.assert_close(
            distance(point, batch.x, norm), batch.eps.double(), rtol=1e-4, atol=1e-6
        )
    assert torch.equal(found, batch.x)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_an_image_draws_its_own_squares(norm: str) -> None:
    """The same in any batch."""
    nets = Far(), Far()
    for net, rows in zip(nets, ([0, 1, 2], [2, 0]), strict=True):
        batch = batch_of(norm).take(torch.tensor(rows))
        square(CountedModel(net), batch, queries=12, early_stop=False)
    for one, other in zip(nets[0].seen, nets[1].seen, strict=True):
        assert torch.equal(one[[2, 0]], other)
    assert not torch.equal(nets[0].seen[5][0], nets[0].seen[5][1])


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("early_stop", [True, False])
def test_what_is_found_is_broken(linear_case: Callable, norm: str, early_stop: bool) -> None:
    """By points in the ball; the others are the images themselves."""
    model, split = linear_case(4)
    x, y = split.pixels(), split.labels
    eps = {"linf": 0.03, "l2": 0.12}[norm]
    batch = Batch(x, y, torch.full((16,), eps), torch.arange(16), norm)
    counted = CountedModel(model, images=16)
    found = square(counted, batch, queries=100, early_stop=early_stop)
    broken = model(found).argmax(1) != y
    assert broken.any()
    assert torch.equal(found[~broken], x[~broken])
    assert (distance(found, x, norm) <= eps + 1e-5).all()
    reachable = model.distances(x, y, norm) < eps
    assert not (broken & ~reachable).any()
    spent = counted.passes.each[0]
    assert (spent[broken] < 101).all() if early_stop else (spent == 101).all()


def test_only_the_cached_form_expects_fewer_queries() -> None:
    """On small images, where squares repeat."""
    small, large = torch.zeros(1, 1, 8, 8), torch.zeros(1, 3, 64, 64)
    assert expected_queries(small, "l2", 5000) == 5001
    assert expected_queries(large, "linf", 5000) == 5001
    assert expected_queries(small, "linf", 0) == 1
    assert 300 < expected_queries(small, "linf", 5000) < 600
