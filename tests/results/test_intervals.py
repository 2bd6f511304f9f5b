"""Intervals against published values and their own coverage."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustbench_mix.results.intervals import (
    SampledPart,
    missed_at_most,
    paired_difference,
    wilson,
)


def test_wilson_against_newcombe() -> None:
    """81 of 263 is 25.5 % to 36.6 % (Newcombe, Statistics in Medicine 1998, table I)."""
    low, high = wilson(81, 263)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_contains_the_share(case: tuple[int, int]) -> None:
    """The interval holds the observed share and stays in [0, 1]."""
    correct, n = case
    low, high = wilson(correct, n)
    assert 0 <= low <= correct / n + 1e-12
    assert correct / n - 1e-12 <= high <= 1


def test_paired_difference_by_hand() -> None:
    """8 gained, 3 lost of 40: +12.5 points, the adjusted Wald interval by hand."""
    first = np.array([True] * 3 + [False] * 8 + [True] * 20 + [False] * 9)
    second = np.array([False] * 3 + [True] * 8 + [True] * 20 + [False] * 9)
    point, low, high = paired_difference(first, second)
    centre = (8.5 - 3.5) / 42
    half = 1.959964 * np.sqrt(12 - 25 / 42) / 42
    assert point == 0.125
    assert (low, high) == pytest.approx((centre - half, centre + half))


def test_paired_interval_covers() -> None:
    """Over simulated pairs of 60 images, the 95 % interval holds the truth about as often."""
    random = np.random.default_rng(1)
    # Neither, first only, second only, both: the true difference is +0.1.
    cells = random.choice(4, p=[0.3, 0.1, 0.2, 0.4], size=(2000, 60))
    hits = 0
    for row in cells:
        _, low, high = paired_difference((row == 1) | (row == 3), row >= 2)
        hits += low <= 0.1 <= high
    assert 0.935 <= hits / 2000 <= 0.975


def test_paired_difference_needs_the_same_images() -> None:
    """Arrays of different length are not pairs."""
    with pytest.raises(ValueError, match="not the same images"):
        paired_difference(np.ones(3, bool), np.ones(4, bool))


def chance_of_missing(part: SampledPart, items: int) -> float:
    """The share of all samples of a part that hold none of its first items, one by one."""
    samples = list(itertools.combinations(range(part.size), part.sampled))
    return sum(not any(one < items for one in sample) for sample in samples) / len(samples)


@pytest.mark.parametrize(
    "parts",
    [
        [(9, 4)], [(12, 3)], [(7, 0)], [(5, 5)], [(1, 0), (1, 1)], [(8, 3), (6, 2)],
        [(10, 5), (4, 1)], [(3, 1), (7, 3), (5, 2)], [(6, 4), (6, 1), (2, 1)],
    ],
)  # fmt: skip
def test_the_bound_is_that_of_all_samples(parts: list[tuple[int, int]]) -> None:
    """The largest total that a sample misses with 5 %, over every split and every sample."""
    given_parts = [SampledPart(*part) for part in parts]
    chances = [
        [chance_of_missing(part, items) for items in range(part.size - part.sampled + 1)]
        for part in given_parts
    ]
    totals = [
        sum(split)
        for split in itertools.product(*(range(len(chance)) for chance in chances))
        if math.prod(c[k] for c, k in zip(chances, split, strict=True)) >= 0.05 - 1e-12
    ]
    assert missed_at_most(given_parts) == max(totals)
    assert missed_at_most(given_parts, most=1) == min(1, max(totals))


def test_how_many_of_a_population_bound_it() -> None:
    """The share that must be sampled hardly depends on how many there are."""
    assert missed_at_most([]) == 0
    assert missed_at_most([SampledPart(656, 86)]) == 20
    assert missed_at_most([SampledPart(656, 85)]) == 21
    assert missed_at_most([SampledPart(20, 0)]) == 20
    # Equal shares of several parts bound the total as one sample of all does.
    assert missed_at_most([SampledPart(100, 20), SampledPart(300, 60)]) in (12, 13)
    assert missed_at_most([SampledPart(400, 80)]) in (12, 13)
