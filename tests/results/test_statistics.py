"""Intervals, tests and power over pairs, against known values and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest, ttest_1samp

from robustbench_mix.results import statistics
from robustbench_mix.results.statistics import (
    crossed_bootstrap,
    difference,
    holm,
    images_needed,
    seeds_needed,
    sign_test,
)


def test_difference_of_known_pairs() -> None:
    """Ten images, two seeds: three gained and one lost of twenty."""
    first = np.zeros((2, 10), dtype=bool)
    second = first.copy()
    second[0, :2] = second[1, 0] = True
    first[1, 9] = True
    found = difference(first, second)
    assert found.point == pytest.approx(2 / 20)
    assert found.low < found.point < found.high
    assert (found.seeds, found.images) == (2, 10)
    # Images 0 and 1 gained, image 9 lost: three that count, once each.
    assert found.p == pytest.approx(binomtest(2, 3).pvalue)


def test_equal_twins_differ_by_nothing() -> None:
    """No discordant image: p is 1 and the interval is a point."""
    same = np.random.default_rng(0).random((3, 50)) < 0.5
    found = difference(same, same)
    assert (found.point, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize("shape", [(0, 5), (5,), (2, 0)])
def test_what_is_no_pair_is_refused(shape: tuple[int, ...]) -> None:
    """Empty or flat arrays, or unlike ones."""
    with pytest.raises(ValueError, match="not the same pairs"):
        difference(np.zeros(shape, bool), np.zeros(shape, bool))
    with pytest.raises(ValueError, match="not the same pairs"):
        difference(np.zeros((2, 3), bool), np.zeros((2, 4), bool))


def test_the_bootstrap_widens_with_what_varies() -> None:
    """Seeds that disagree widen the interval far more than images alone would."""
    random = np.random.default_rng(1)
    alike = np.where(random.random((4, 400)) < 0.1, 1, 0)
    shifted = alike + np.array([[1], [-1], [1], [-1]])
    width = [high - low for low, high in map(crossed_bootstrap, (alike, shifted))]
    assert width[1] > 5 * width[0]
    assert crossed_bootstrap(alike, seed=3) == crossed_bootstrap(alike, seed=3)


def test_the_bootstrap_covers(monkeypatch: pytest.MonkeyPatch) -> None:
    """With seeds and images that both vary, at least about 95 % of the intervals hold the mean."""
    monkeypatch.setattr(statistics, "RESAMPLES", 400)
    random = np.random.default_rng(2)
    held = 0
    for _ in range(200):
        seeds, images = random.normal(0, 0.5, (12, 1)), random.normal(0, 0.5, (1, 60))
        low, high = crossed_bootstrap(seeds + images + random.normal(0, 1, (12, 60)))
        held += low <= 0 <= high
    assert held >= 180


def test_one_seed_is_mcnemar() -> None:
    """Exact two-sided binomial over the discordant images."""
    gain = np.array([[1] * 9 + [-1] * 2 + [0] * 30])
    assert sign_test(gain) == pytest.approx(binomtest(9, 11).pvalue)


def test_the_same_images_over_seeds_count_once() -> None:
    """Ten equal seeds are no more evidence about images than one."""
    gain = np.array([[1] * 9 + [-1] * 2 + [0] * 30])
    assert sign_test(np.repeat(gain, 10, axis=0)) == sign_test(gain)


def test_holm_on_a_known_example() -> None:
    """Step-down: 0.01 * 4, 0.02 * 3, 0.03 * 2 and never below its predecessor."""
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.default
@pytest.mark.parametrize(("discordant", "effect"), [(0.1, 0.03), (0.2, 0.05)])
def test_the_images_needed_give_the_power_promised(discordant: float, effect: float) -> None:
    """McNemar's test, simulated with that many images, finds the effect four times in five."""
    n = images_needed(discordant, effect)
    random = np.random.default_rng(3)
    gained, lost = (discordant + effect) / 2, (discordant - effect) / 2
    counts = random.multinomial(n, [gained, lost, 1 - discordant], size=2000)
    found = np.mean([binomtest(int(g), int(g + b)).pvalue < 0.05 for g, b, _ in counts])
    assert 0.74 < found < 0.86
    assert images_needed(discordant, effect, tests=5) > n
    assert images_needed(discordant, -effect) == n


def test_the_seeds_needed_give_the_power_promised() -> None:
    """A t test over that many seeds finds the effect at least four times in five."""
    n = seeds_needed(spread=1.0, effect=1.2)
    random = np.random.default_rng(4)
    power = [
        np.mean(ttest_1samp(random.normal(1.2, 1, (4000, seeds)), 0, axis=1).pvalue < 0.05)
        for seeds in (n, n - 1)
    ]
    assert power[0] > 0.78 > power[1]
    assert seeds_needed(0.0, 0.5) == 2


def test_no_effect_cannot_be_found() -> None:
    """Zero is refused."""
    with pytest.raises(ValueError, match="effect of 0"):
        images_needed(0.1, 0.0)
    with pytest.raises(ValueError, match="effect of 0"):
        seeds_needed(0.1, 0.0)
