"""The cheap first pass: what it breaks, how close it comes, and what it costs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from robustbench_mix.attacks.base import Batch
from robustbench_mix.attacks.counted_model import CountedModel
from robustbench_mix.attacks.losses import margin
from robustbench_mix.attacks.native import first_pass as module
from robustbench_mix.attacks.native.first_pass import expected_passes, first_pass
from robustbench_mix.attacks.norms import distance

TARGETS = 9


def attacked(model: nn.Module, x: Tensor, y: Tensor, radius: Tensor, norm: str = "linf"):
    """The points that the first pass returns, and the counted model."""
    counted = CountedModel(model, images=len(x))
    batch = Batch(x, y, radius, torch.arange(len(x)), norm)
    return first_pass(counted, batch, targets=TARGETS), counted


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_linear_network_falls_where_it_can(linear_case: Callable, norm: str) -> None:
    """Just beyond the distance to the nearest class, and not just within it."""
    model, split = linear_case(10, n=20)
    x, y = split.pixels(), split.labels
    exact = model.distances(x, y, norm).float()
    for factor, falls in ((1.01, True), (0.99, False)):
        points, counted = attacked(model, x, y, factor * exact, norm)
        assert bool(((model(points).argmax(1) != y) == falls).all())
        assert bool((distance(points, x, norm) <= factor * exact + 1e-6).all())
    # What stands is returned at the point that came closest, near the boundary here.
    assert bool((margin(model(points), y) < 0.05 * margin(model(x), y)).all())


def test_the_likeliest_class_is_not_the_nearest(linear_case: Callable) -> None:
    """Classes are ranked by a linear model within the ball, not by their logits."""
    weight = torch.randn(50, generator=torch.Generator().manual_seed(0))
    weight -= weight.mean()
    model, _ = linear_case(10)
    # Class 1 has the larger logit, but hardly differs from class 0.
    model.weight = nn.Parameter(torch.stack([weight, 0.9 * weight, -weight]))
    x = (0.5 + 0.004 * weight.sign()).view(1, 2, 5, 5)
    y = model(x).argmax(1)
    counted = CountedModel(model, images=1)
    batch = Batch(x, y, torch.tensor([0.1]), torch.zeros(1, dtype=torch.int64), "linf")
    clean, order = module._rank(counted, batch, 2)
    assert y.tolist() == [0]
    assert model(x)[0].argsort(descending=True).tolist() == [0, 1, 2]
    assert order.tolist() == [[2, 1]]
    torch.testing.assert_close(clean, margin(model(x), y))


def test_hopeless_images_are_given_up(linear_case: Callable) -> None:
    """Far from the boundary an image meets one round, near it all of them."""
    model, split = linear_case(10, n=20)
    x, y = split.pixels(), split.labels
    exact = model.distances(x, y, "linf").float()
    radius = torch.where(torch.arange(20) < 10, 0.2 * exact, 0.99 * exact)
    _, counted = attacked(model, x, y, radius)
    spent = counted.passes.each.sum(0)
    first = module.ROUNDS[0]
    alone = 1 + 2 * TARGETS + 2 * first.targets * (first.steps + 1)
    assert spent[:10].tolist() == [alone] * 10
    whole = 1 + 2 * TARGETS + sum(2 * min(r.targets, 9) * (r.steps + 1) for r in module.ROUNDS)
    assert spent[10:].tolist() == [whole] * 10
    estimate = expected_passes(TARGETS)(x, "linf")
    assert estimate is not None
    assert alone < estimate.work < whole


def test_an_image_does_not_depend_on_its_batch(linear_case: Callable) -> None:
    """Nor on the capacity of the model, which only splits the work."""
    model, split = linear_case(10, n=12)
    model.double()
    x, y = split.pixels().double(), split.labels
    radius = model.distances(x, y, "linf").float() * torch.linspace(0.9, 1.02, 12)
    together, _ = attacked(model, x, y, radius)
    counted = CountedModel(model, images=12, capacity=10)
    seeds = torch.arange(12)
    apart = first_pass(counted, Batch(x, y, radius, seeds, "linf"), targets=TARGETS)
    assert torch.equal(apart, together)
    for row in (0, 5, 11):
        alone = Batch(x[[row]], y[[row]], radius[[row]], seeds[[row]], "linf")
        one = first_pass(CountedModel(model, images=1), alone, targets=TARGETS)
        assert torch.equal(one[0], together[row])


def test_without_an_early_stop_all_rounds_are_run(linear_case: Callable) -> None:
    """Every image makes every pass, whether it is broken, hopeless or neither."""
    model, split = linear_case(10, n=6)
    x, y = split.pixels(), split.labels
    counted = CountedModel(model, images=6)
    batch = Batch(x, y, torch.full((6,), 0.3), torch.arange(6), "linf")
    points = first_pass(counted, batch, targets=TARGETS, early_stop=False)
    assert bool((model(points).argmax(1) != y).all())
    assert len(set(counted.passes.each.sum(0).tolist())) == 1
    assert counted.passes.forward > 6 * 5 * 51


def test_near_misses_on_a_coarse_model_are_settled_by_its_judge(linear_case: Callable) -> None:
    """The last round is run on the judge."""
    model, split = linear_case(10, n=8)
    x, y = split.pixels(), split.labels
    radius = 1.01 * model.distances(x, y, "linf").float()
    coarse, _ = linear_case(10, n=8)
    with torch.no_grad():  # a copy that is a little too sure of the labels
        for label in y.unique():
            coarse.weight[label] *= 1.01
    counted = CountedModel(coarse, judge=CountedModel(model), doubt=0.0, images=8)
    points = first_pass(counted, Batch(x, y, radius, torch.arange(8), "linf"), targets=TARGETS)
    assert bool((model(points).argmax(1) != y).all())
