"""PGD of both engines: its stages, its steps, and what it gives back."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from robustbench_mix.attacks.base import Batch
from robustbench_mix.attacks.counted_model import CountedModel
from robustbench_mix.attacks.native import pgd as native
from robustbench_mix.attacks.norms import distance
from robustbench_mix.attacks.passes import Count
from robustbench_mix.attacks.reference import pgd as reference
from robustbench_mix.errors import RbmixError


class Never(nn.Module):
    """Logits that rise with the first pixel and fall with the second, and are always right."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        value = x[:, 0, 0, 0] - x[:, 0, 0, 1]
        return torch.stack([10 - value, value - 10], 1)


def batch_of(norm: str, count: int = 3, eps: float = 0.2) -> Batch:
    """Grey images of two pixels and class 0."""
    x, y = torch.full((count, 1, 1, 2), 0.5), torch.zeros(count, dtype=torch.int64)
    radius = torch.full((count,), eps, dtype=torch.float64)
    return Batch(x, y, radius, torch.arange(count), norm, range(count))


@pytest.mark.parametrize("module", [native, reference])
def test_a_stage_is_a_restart(module) -> None:
    """Each says what it costs; both engines name them alike."""
    stages = module.pgd_stages(10, steps=7, restarts=3, step_size=0.3)
    assert [stage.name for stage in stages] == ["pgd-0", "pgd-1", "pgd-2"]
    assert {stage.passes(torch.zeros(1), "l2") for stage in stages} == {Count(7, 7)}
    assert len(module.pgd_stages(10)) == 5
    for options in ({"steps": 0}, {"restarts": 0}, {"step_size": 3.0}):
        with pytest.raises(RbmixError, match=f"option {next(iter(options))} = "):
            module.pgd_stages(10, **options)


def test_means_over_passes_cost_more() -> None:
    """Of each gradient so many; none of them is an option that is wrong."""
    (stage,) = reference.pgd_stages(10, steps=7, restarts=1, eot=3)
    assert stage.passes(torch.zeros(1), "l2") == Count(21, 21)
    with pytest.raises(RbmixError, match="option eot = 0"):
        reference.pgd_stages(10, eot=0)


@pytest.mark.parametrize("module", [native, reference])
@pytest.mark.parametrize(("norm", "length"), [("linf", 0.05), ("l2", 0.05 / 2**0.5)])
def test_the_first_restart_walks_straight_from_the_image(module, norm: str, length: float) -> None:
    """By its share of eps in each step, in the direction that raises the loss."""
    (stage,) = module.pgd_stages(2, steps=2, restarts=1, step_size=0.125)
    model = CountedModel(Never(), images=3)
    found = stage.attack(model, batch_of(norm))
    expected = 0.5 + length * torch.tensor([1.0, -1.0]).expand(3, 1, 1, 2)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
    assert (model.passes.forward, model.passes.gradient) == (6, 6)


@pytest.mark.parametrize("module", [native, reference])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_long_walks_end_at_the_border(module, norm: str) -> None:
    """Of the ball, whatever the start; a start belongs to its image."""
    stages = module.pgd_stages(2, steps=40, restarts=2, step_size=0.3)
    batch = batch_of(norm)
    for stage in stages:
        found = stage.attack(CountedModel(Never(), images=3), batch)
        far = distance(found, batch.x, norm)
        torch.testing.assert_close(far, batch.eps, rtol=1e-3, atol=0)
    start = module.pgd_stages(2, steps=1, restarts=2, step_size=1e-6)[1].attack
    points = start(CountedModel(Never(), images=3), batch)
    assert (distance(points, batch.x, norm) <= 0.2 + 1e-5).all()
    assert len(points.flatten(1).unique(dim=0)) == 3
    few = batch_of(norm, 2)
    assert torch.equal(start(CountedModel(Never(), images=2), few), points[:2])


def test_a_random_start_fills_the_l2_ball() -> None:
    """In two dimensions a quarter of the points is within half of the radius."""
    start = native.pgd_stages(2, steps=1, restarts=2, step_size=1e-6)[1].attack
    batch = batch_of("l2", 2000)
    found = start(CountedModel(Never(), images=2000), batch)
    share = (distance(found, batch.x, "l2") < 0.1).double().mean()
    assert abs(share - 0.25) < 0.04


class Threshold(nn.Module):
    """Class 1 where the mean pixel is above 0.6."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        value = x.mean((1, 2, 3)) - 0.6
        return torch.stack([-value, value], 1)


def test_a_broken_image_leaves_with_the_iterate_that_broke_it() -> None:
    """Unless nothing is to be saved; others end at their last point."""
    batch = batch_of("linf")
    batch = Batch(batch.x, batch.y, torch.tensor([0.05, 0.2, 0.4]), batch.seeds, "linf")
    for early_stop, spent in ((True, [10, 3, 2]), (False, [10, 10, 10])):
        (stage,) = native.pgd_stages(2, steps=10, restarts=1, step_size=0.3, early_stop=early_stop)
        model = CountedModel(Threshold(), images=3)
        found = stage.attack(model, batch)
        assert model.passes.each[0].tolist() == spent
        assert (Threshold()(found).argmax(1) != batch.y).tolist() == [False, True, True]
        if early_stop:
            assert found[:, 0, 0, 0].tolist() == pytest.approx([0.55, 0.62, 0.62], abs=1e-5)
