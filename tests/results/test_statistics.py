"""Differences of twins and Holm's correction, against known values; the bootstrap that checks."""

from __future__ import annotations

import bootstrap
import numpy as np
import pytest
from bootstrap import crossed_bootstrap
from scipy.stats import ttest_1samp

from robustbench_mix.results.statistics import difference, format_p, holm

pytestmark = pytest.mark.quick


def test_difference_of_known_pairs() -> None:
    """Ten images, three seeds: five gained and one lost of thirty."""
    first = np.zeros((3, 10), dtype=bool)
    second = first.copy()
    second[0, :2] = second[1, 0] = second[2, :2] = True
    first[1, 9] = True
    found = difference(first, second)
    assert found.point == pytest.approx(4 / 30)
    assert found.low < found.point < found.high
    assert (found.seeds, found.images) == (3, 10)
    assert found.p == pytest.approx(ttest_1samp([0.2, 0, 0.2], 0).pvalue)
    assert found.flips == 0.5
    assert found.unlike is not None
    assert 0 < found.unlike < 1
    assert found.p_above(0) + found.p_below(0) == pytest.approx(1)
    assert found.p_above(found.low) == pytest.approx(0.025)
    assert found.p_below(found.high) == pytest.approx(0.025)


def test_one_seed_says_nothing_of_seeds() -> None:
    """An interval over the images; no test over seeds."""
    first = np.zeros((1, 10), dtype=bool)
    found = difference(first, ~first | first)
    assert (found.point, found.p, found.flips, found.unlike) == (1, 1, 1, None)


def test_numbers_are_compared_as_well() -> None:
    """Decibels, of images that differ little."""
    random = np.random.default_rng(0)
    first = random.normal(20, 1, (6, 40))
    found = difference(first, first + 1 + random.normal(0, 0.1, (6, 40)))
    assert 0.95 < found.low < 1 < found.high < 1.05
    assert found.flips == 2 / 64


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
    monkeypatch.setattr(bootstrap, "RESAMPLES", 400)
    random = np.random.default_rng(2)
    held = 0
    for _ in range(200):
        seeds, images = random.normal(0, 0.5, (12, 1)), random.normal(0, 0.5, (1, 60))
        low, high = crossed_bootstrap(seeds + images + random.normal(0, 1, (12, 60)))
        held += low <= 0 <= high
    assert held >= 180


def test_holm_on_a_known_example() -> None:
    """Step-down: 0.01 * 4, 0.02 * 3, 0.03 * 2 and never below its predecessor."""
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize(
    ("p", "text"),
    [(0.0, "<1e-4"), (2.1e-319, "<1e-4"), (9.9e-5, "<1e-4"), (1e-4, "0.0001"), (0.0213, "0.021"),
     (1.0, "1")],
)  # fmt: skip
def test_tiny_p_values_are_bounds(p: float, text: str) -> None:
    """No 0 and no power that only a computer can tell from another."""
    assert format_p(p) == text
