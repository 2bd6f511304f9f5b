"""Find the cheapest numbers of seeds and images for a wanted precision."""

from __future__ import annotations

import math
from dataclasses import dataclass

from robustbench_mix.results.random_effects import SIGNIFICANCE, Components, mean_error

# The minimum for a verdict: six seeds agree in sign by chance once in 32 times.
LEAST_SEEDS = 6
MOST_SEEDS = 1000


@dataclass(frozen=True)
class Costs:
    """The costs of a pair of twins.

    Attributes:
        training: Seconds to train the twins of one seed.
        image: Seconds to attack one image in both.
    """

    training: float
    image: float


@dataclass(frozen=True)
class Design:
    """Numbers of seeds and images, with their precision and cost.

    Attributes:
        seeds: Number of pairs of twins.
        images: Number of test images that each pair is attacked on.
        half_width: Half-width of the 95 % interval, in the unit of the values.
        seconds: The total cost in seconds.
    """

    seeds: int
    images: int
    half_width: float
    seconds: float


def half_width(parts: Components, seeds: int, images: int) -> float:
    """Return the expected half-width of the 95 % interval of a mean.

    Args:
        parts: Variance components of one value.
        seeds: Number of seeds, at least 2.
        images: Number of images, at least 2.
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

    The best number of images for a seed is
    n* = sqrt(V_rest / V_seeds x cost of a training / cost of an image), or all images if seeds do
    not differ.

    Args:
        parts: Variance components of one value, measured before.
        costs: Measured costs.
        wanted: Half-width of the 95 % interval, in the unit of the values; above 0.
        most_images: Number of test images that exist.
        least_seeds: Minimum number of seeds for a verdict.

    Returns:
        The design. If no number of seeds reaches the width with these images, it has 1000 seeds,
        and its `half_width` is larger than `wanted`.

    Source: Cochran, Sampling Techniques, 1977.
    """
    if parts.seeds > 0 and costs.image > 0:
        best = math.sqrt(parts.rest / parts.seeds * costs.training / costs.image)
    else:
        best = float(most_images)
    images = max(2, min(most_images, math.ceil(best)))
    seeds, images = enough(parts, images, wanted, least_seeds=least_seeds, most_images=most_images)
    return Design(
        seeds, images, half_width(parts, seeds, images),
        seeds * (costs.training + images * costs.image),
    )  # fmt: skip


def enough(
    parts: Components, images: int, wanted: float, *, least_seeds: int, most_images: int
) -> tuple[int, int]:
    """Return the smallest number of seeds for a wanted half-width, and the images it takes.

    All seeds share their images, whose error further seeds cannot reduce. So the number of images
    is doubled as long as no number of seeds reaches the width.

    Args:
        parts: Variance components of one value.
        images: Number of images to begin with.
        wanted: Half-width of the 95 % interval, in the unit of the values.
        least_seeds: Minimum number of seeds.
        most_images: Maximum number of images.

    Returns:
        Seeds and images. There are 1000 seeds if none reach the width with the most images.
    """
    seeds = seeds_for(parts, images, wanted, least_seeds)
    while half_width(parts, seeds, images) > wanted and images < most_images:
        images = min(most_images, 2 * images)
        seeds = seeds_for(parts, images, wanted, least_seeds)
    return seeds, images


def seeds_for(parts: Components, images: int, wanted: float, least: int) -> int:
    """Return the smallest number of seeds whose interval has a wanted half-width.

    Args:
        parts: Variance components of one value.
        images: Number of test images of each seed.
        wanted: Half-width of the 95 % interval, in the unit of the values.
        least: Minimum number of seeds.

    Returns:
        The number of seeds, at most 1000 even if those do not reach the width.
    """
    low, high = max(2, least), MOST_SEEDS
    while low < high:
        middle = (low + high) // 2
        if half_width(parts, middle, images) <= wanted:
            high = middle
        else:
            low = middle + 1
    return low
