"""Random signs: each draw a stage of its own."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from robustbench_mix.attacks.base import Batch
from robustbench_mix.attacks.counted_model import CountedModel
from robustbench_mix.attacks.norms import distance
from robustbench_mix.attacks.passes import Count
from robustbench_mix.attacks.reference.noise import MAX_DRAWS, noise_stages
from robustbench_mix.errors import RbmixError


def batch_of(index: list[int], norm: str = "linf", seed: int = 0) -> Batch:
    """Grey images with these numbers."""
    n = len(index)
    eps = torch.full((n,), 0.1, dtype=torch.float64)
    x, y = torch.full((n, 2, 3, 3), 0.5), torch.zeros(n, dtype=torch.int64)
    return Batch(x, y, eps, torch.zeros(n, dtype=torch.int64), norm, index, seed)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_draw_is_a_corner_of_the_ball(norm: str) -> None:
    """All pixels move as far; the network is not asked."""
    (stage,) = noise_stages(10)
    model = CountedModel(nn.Flatten())
    batch = batch_of([3, 4], norm)
    found = stage.attack(model, batch)
    moved = (found - batch.x).abs()
    torch.testing.assert_close(moved, moved[0, 0, 0, 0].expand_as(moved))
    torch.testing.assert_close(distance(found, batch.x, norm), batch.eps, rtol=1e-5, atol=0)
    assert model.passes.forward == 0
    assert stage.passes(batch.x, norm) == Count(1)


def test_draws_differ_by_stage_image_and_seed() -> None:
    """And by nothing else."""
    first, second = noise_stages(10, draws=2)
    assert (first.name, second.name) == ("noise-0", "noise-1")
    model = CountedModel(nn.Flatten())
    found = first.attack(model, batch_of([3, 4]))
    assert torch.equal(first.attack(model, batch_of([4]))[0], found[1])
    others = [found[1], second.attack(model, batch_of([3]))[0],
              first.attack(model, batch_of([3], seed=1))[0]]  # fmt: skip
    assert not any(torch.equal(one, found[0]) for one in others)


@pytest.mark.parametrize("draws", [0, MAX_DRAWS + 1])
def test_how_many_draws_there_can_be(draws: int) -> None:
    """At least one, and not more than anybody waits for."""
    with pytest.raises(RbmixError, match=f"draws = {draws} .*up to 10,000"):
        noise_stages(10, draws=draws)
