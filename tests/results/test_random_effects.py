"""Means over seeds and images: against hand, the textbook, the bootstrap, and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from bootstrap import crossed_bootstrap
from scipy import stats

from robustbench_mix.results.random_effects import (
    Estimate,
    components,
    estimate,
    seeds_differ,
    sign_flips,
    t_over_seeds,
)

pytestmark = pytest.mark.quick


def gains(
    seeds: int, images: int, seed_sd: float, *, same: bool = True, mean: float = 0.0, start: int = 0
) -> np.ndarray:
    """Differences of twins, (seeds, images) in -1, 0, 1, of a known true mean.

    An image differs within a seed by about 0.35 and across seeds by 0.06, as measured on ResNets.
    With `same` every seed meets the same images.
    """
    random = np.random.default_rng(start)
    of_seed = random.normal(0, seed_sd, (seeds, 1))
    of_image = random.normal(0, 0.06, (1 if same else seeds, images))
    expected = mean + of_seed + of_image
    lost = np.clip(0.06 - expected / 2, np.maximum(0, -expected), 1)
    drawn = random.random((seeds, images))
    return (drawn < lost + expected).astype(float) - (drawn > 1 - lost)


def scattered(values: np.ndarray) -> np.ndarray:
    """The same values where each seed met images of its own."""
    seeds, images = values.shape
    apart = np.full((seeds, seeds * images), np.nan)
    for seed in range(seeds):
        apart[seed, seed * images : (seed + 1) * images] = values[seed]
    return apart


def test_the_error_is_the_closed_form_of_two_way_random_effects() -> None:
    """By hand: mean squares 6, 4.5 and 0.5 of two seeds on three images."""
    found = estimate(np.array([[1.0, 2, 3], [2, 4, 6]]))
    assert found.mean == 3
    assert found.error == pytest.approx(math.sqrt((6 + 4.5 - 0.5) / 6))
    assert found.degrees == pytest.approx(10**2 / (6**2 / 1 + 4.5**2 / 2 + 0.5**2 / 2))
    parts = components(np.array([[1.0, 2, 3], [2, 4, 6]]))
    assert (parts.seeds, parts.images, parts.rest) == pytest.approx((5.5 / 3, 2.0, 0.5))


def test_one_seed_is_a_t_interval_over_images() -> None:
    """As SciPy has it; the other seeds are not spoken of."""
    values = np.random.default_rng(0).normal(0.1, 1, (1, 50))
    found = estimate(values)
    theirs = stats.ttest_1samp(values[0], 0)
    assert found.interval() == pytest.approx(tuple(theirs.confidence_interval()))
    assert 2 * found.p_above(0) == pytest.approx(theirs.pvalue)
    assert found.p_below(0) == pytest.approx(1 - found.p_above(0))
    assert t_over_seeds(values[0]) == pytest.approx(theirs.pvalue)
    assert t_over_seeds(values[0, :1]) == 1


def test_images_of_their_own_leave_the_error_between_seeds() -> None:
    """Then the two-way cluster form is the standard error of the means of seeds."""
    values = gains(6, 200, 0.014)
    found = estimate(scattered(values))
    means = values.mean(1)
    assert found.error == pytest.approx(means.std(ddof=1) / math.sqrt(6))
    assert found.degrees == 5


def test_some_images_of_their_own() -> None:
    """The cluster form comes near the closed one when almost every seed met every image."""
    values = gains(8, 300, 0.03)
    whole = estimate(values)
    values[0, :5] = np.nan
    part = estimate(values)
    assert part.error == pytest.approx(whole.error, rel=0.1)
    assert part.degrees == 7


def test_one_value_says_nothing() -> None:
    """Its interval is everything, and every p is a half."""
    found = estimate(np.array([[0.5]]))
    assert (found.mean, *found.interval()) == (0.5, -math.inf, math.inf)
    assert (found.p_above(0), found.p_below(9)) == (0.5, 0.5)


@pytest.mark.parametrize("values", [np.zeros((0, 3)), np.zeros(4)])
def test_no_values_no_mean(values: np.ndarray) -> None:
    """Nor where an image was met by nobody."""
    with pytest.raises(ValueError, match="no mean"):
        estimate(values)
    with pytest.raises(ValueError, match="no mean"):
        estimate(np.array([[1.0, np.nan], [1, np.nan]]))


def test_the_bootstrap_agrees_where_there_are_many_seeds() -> None:
    """A cross-check by resampling: widths within a tenth where seeds differ."""
    values = gains(40, 400, 0.1).astype(np.int8)
    low, high = crossed_bootstrap(values)
    ours = estimate(values.astype(float)).interval()
    assert (ours[1] - ours[0]) == pytest.approx(high - low, rel=0.1)
    assert sum(ours) == pytest.approx(low + high, abs=0.1 * (high - low))


def test_seeds_differ_is_the_f_test() -> None:
    """Two seeds on the same images: F is the square of the paired t."""
    values = np.random.default_rng(1).normal(0, 1, (2, 30)) + np.array([[0.0], [0.4]])
    assert seeds_differ(values) == pytest.approx(stats.ttest_rel(*values).pvalue)
    assert seeds_differ(np.ones((3, 4))) == 1
    assert seeds_differ(np.array([[0.0, 0], [1, 1]])) == 0


@pytest.mark.parametrize("seeds", [2, 6, 12])
def test_sign_flips_count_every_flip(seeds: int) -> None:
    """Seeds that all agree reach the least p there is; as SciPy's permutations else."""
    assert sign_flips(np.arange(1.0, seeds + 1)) == 2 / 2**seeds
    means = np.random.default_rng(seeds).normal(0.3, 1, seeds)
    theirs = stats.permutation_test(
        (means,), np.mean, permutation_type="samples", n_resamples=np.inf
    )
    assert sign_flips(means) == pytest.approx(theirs.pvalue)


def test_sign_flips_are_drawn_where_there_are_too_many() -> None:
    """Near the exact p of the t test for values that are normal."""
    means = np.random.default_rng(3).normal(0.5, 1, 20)
    assert sign_flips(means) == pytest.approx(t_over_seeds(means), abs=0.02)


def test_nothing_varies() -> None:
    """A mean without error is known: on one side of any other bound."""
    found = estimate(np.full((6, 10), 0.25))
    assert found.interval() == (0.25, 0.25)
    assert (found.p_above(0.2), found.p_above(0.25), found.p_below(0.3)) == (0, 1, 0)
    assert Estimate(1.0, 0.0, 3).p_below(0.5) == 1


@pytest.mark.slow
@pytest.mark.parametrize("same", [True, False], ids=["same images", "different images"])
@pytest.mark.parametrize("images", [500, 1000])
@pytest.mark.parametrize("seeds", [6, 12])
@pytest.mark.parametrize("seed_sd", [0.0, 0.014])
def test_coverage_and_false_verdicts(seed_sd: float, seeds: int, images: int, same: bool) -> None:
    """Of 95 % intervals 93 to 97 cover the truth; at most 5 in 100 verdicts are false.

    A verdict is false that sees a gain, or a loss, where there is none, and that rules out a gain
    of one point where there is one. Seeds differ by nothing, and by what was measured.
    """
    runs, covered, false, excluded = 3000, 0, 0, 0
    for run in range(runs):
        values = gains(seeds, images, seed_sd, same=same, start=run)
        found = estimate(values if same else scattered(values))
        low, high = found.interval()
        covered += low <= 0 <= high
        t = t_over_seeds(values.mean(1))
        false += low > 0 and t < 0.05
        excluded += found.p_below(0.0) < 0.025  # the same as a margin, seen from its edge
    assert 0.93 <= covered / runs <= 0.97
    assert false / runs <= 0.05
    assert excluded / runs <= 0.05
