"""Seeds and images for a wanted precision."""

from __future__ import annotations

import math

import pytest

from robustbench_mix.results.design import MOST_SEEDS, Costs, cheapest, enough, half_width
from robustbench_mix.results.random_effects import Components

pytestmark = pytest.mark.quick

# Measured on pairs of resnet14 under FGSM, as shares: 1.4, 6 and 35 points.
PARTS = Components(0.014**2, 0.06**2, 0.35**2)
COSTS = Costs(training=500.0, image=0.5)


def test_the_width_is_that_of_the_three_variances() -> None:
    """With as many degrees of freedom as nobody can see, 1.96 standard errors."""
    exact = 1.959964 * math.sqrt(0.014**2 / 900 + 0.06**2 / 5000 + 0.35**2 / (900 * 5000))
    assert half_width(PARTS, 900, 5000) == pytest.approx(exact, rel=0.01)
    assert half_width(PARTS, 12, 500) < half_width(PARTS, 6, 500)
    assert half_width(PARTS, 6, 1000) < half_width(PARTS, 6, 500)
    assert half_width(Components(0, 0, 0), 6, 10) == 0


def test_the_cheapest_design_reaches_the_width() -> None:
    """And neither one seed less nor images at twice the number would be cheaper."""
    found = cheapest(PARTS, COSTS, 0.012, most_images=10_000)
    assert found.images == math.ceil(math.sqrt(0.35**2 / 0.014**2 * 1000))
    assert found.half_width <= 0.012 < half_width(PARTS, found.seeds - 1, found.images)
    assert found.seconds == found.seeds * (500 + 0.5 * found.images)
    for images in (found.images // 2, 2 * found.images):
        seeds = next(n for n in range(6, 999) if half_width(PARTS, n, images) <= 0.012)
        assert seeds * (500 + 0.5 * images) >= found.seconds


def test_never_more_images_than_there_are() -> None:
    """Also where seeds do not differ, and one is as good as another."""
    assert cheapest(PARTS, COSTS, 0.012, most_images=300).images == 300
    alike = Components(0.0, 0.06**2, 0.35**2)
    assert cheapest(alike, COSTS, 0.02, most_images=800).images == 800


def test_at_least_the_seeds_of_a_verdict() -> None:
    """However wide the interval may be."""
    assert cheapest(PARTS, COSTS, 0.5, most_images=1000).seeds == 6


def test_what_cannot_be_reached_says_so() -> None:
    """Images that all seeds share leave an error of their own."""
    found = cheapest(PARTS, COSTS, 0.001, most_images=500)
    assert (found.seeds, found.images) == (1000, 500)
    assert found.half_width > 0.001


def test_images_are_added_where_no_number_of_seeds_is_enough() -> None:
    """The error of shared images stays whatever the seeds; the most images end the search."""
    wanted = 0.0025
    seeds, images = enough(PARTS, 500, wanted, least_seeds=6, most_images=10**6)
    assert images > 500
    assert half_width(PARTS, seeds, images) <= wanted < half_width(PARTS, MOST_SEEDS, images // 2)
    assert enough(PARTS, 500, wanted, least_seeds=6, most_images=600) == (MOST_SEEDS, 600)
