"""How many seeds and images a wanted precision takes, at the least cost."""

from __future__ import annotations

import math
from dataclasses import dataclass

from robustbench_mix.results.random_effects import SIGNIFICANCE, Components, mean_error

MOST_SEEDS = 1000


@dataclass(frozen=True)
class Costs:
    """What a pair of twins costs.

    Attributes:
        training: Seconds to train the twins of one seed.
        image: Seconds to attack one image in both.
    """

    training: float
    image: float


@dataclass(frozen=True)
class Design:
    """Numbers of seeds and images, and what they give.

    Attributes:
        seeds: Pairs of twins.
        images: Test images that each pair is attacked on.
        half_width: Of the 95 % interval, in the unit of the values.
        seconds: What it costs.
    """

    seeds: int
    images: int
    half_width: float
    seconds: float


def half_width(parts: Components, seeds: int, images: int) -> float:
    """Return the expected half-width of the 95 % interval of a mean.

    Args:
        parts: Variances of one value.
        seeds: At least 2.
        images: At least 2.
    """
    from scipy.stats import t

    error, degrees = mean_error(
        images * parts.seeds + parts.rest, seeds * parts.images + parts.rest, parts.rest,
        seeds, images,
    )  # fmt: skip
    return float(t.ppf(1 - SIGNIFICANCE / 2, degrees)) * error


def cheapest(
    parts: Components, costs: Costs, wanted: float, *, most_images: int, least_seeds: int = 6
) -> Design:
    """Find the cheapest numbers of seeds and images for an interval of a wanted half-width.

    A seed is best attacked on n* = sqrt(V_rest / V_seeds x cost of a training / cost of an image)
    images (Cochran, Sampling Techniques, 1977); on as many as there are where seeds do not differ.

    Args:
        parts: Variances of one value, measured before.
        costs: Measured costs.
        wanted: Half-width of the 95 % interval, in the unit of the values; above 0.
        most_images: How many test images there are.
        least_seeds: Fewer are not enough for a verdict.

    Returns:
        The design. Where no number of seeds reaches the width with these images, the one with
        1000 seeds, whose `half_width` says so.
    """
    if parts.seeds > 0 and costs.image > 0:
        best = math.sqrt(parts.rest / parts.seeds * costs.training / costs.image)
    else:
        best = float(most_images)
    images = max(2, min(most_images, math.ceil(best)))
    while True:
        seeds = _seeds(parts, images, wanted, least_seeds)
        if seeds < MOST_SEEDS or images == most_images:
            break
        # Images that every seed shares leave an error that no further seed takes away.
        images = min(most_images, 2 * images)
    return Design(
        seeds, images, half_width(parts, seeds, images),
        seeds * (costs.training + images * costs.image),
    )  # fmt: skip


def _seeds(parts: Components, images: int, wanted: float, least: int) -> int:
    """The smallest number of seeds that reaches the width, 1000 if none does."""
    low, high = max(2, least), MOST_SEEDS
    while low < high:
        middle = (low + high) // 2
        if half_width(parts, middle, images) <= wanted:
            high = middle
        else:
            low = middle + 1
    return low
