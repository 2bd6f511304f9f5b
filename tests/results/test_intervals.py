"""Intervals against published values and their own coverage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustbench_mix.results.intervals import paired_difference, wilson


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
