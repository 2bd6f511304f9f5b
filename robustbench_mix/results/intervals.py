"""95 % intervals for shares of images and for paired differences of two shares."""

from __future__ import annotations

import math

import numpy as np


def wilson(correct: int, n: int) -> tuple[float, float]:
    """Return Wilson's score interval for correct / n, both ends in [0, 1].

    Source: Wilson, Journal of the American Statistical Association 1927.
    """
    from scipy.stats import binomtest

    interval = binomtest(correct, n).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def at_least(count: int, n: int) -> float:
    """Return the one-sided 95 % lower bound on a share, given `count` of `n` observations.

    Source: Clopper & Pearson, Biometrika 1934.
    """
    from scipy.stats import binomtest

    interval = binomtest(count, n, alternative="greater").proportion_ci(0.95, method="exact")
    return float(interval.low)


def at_most(count: int, n: int) -> float:
    """Return the one-sided 95 % upper bound, as `at_least`; 1 if `n` is 0."""
    from scipy.stats import binomtest

    if n == 0:
        return 1.0
    interval = binomtest(count, n, alternative="less").proportion_ci(0.95, method="exact")
    return float(interval.high)


def paired_difference(first: np.ndarray, second: np.ndarray) -> tuple[float, float, float]:
    """Return the share of `second` minus the share of `first`, with its 95 % interval.

    The point is the plain difference. The interval is the adjusted Wald interval, which adds half
    an image to each cell of the paired table and so keeps its coverage for few images.

    Args:
        first, second: Outcomes on the same images, (n,) bool.

    Returns:
        The difference, and the lower and the upper end of its interval.

    Source: Agresti & Min, Statistics in Medicine 2005.
    """
    if first.shape != second.shape:
        raise ValueError(f"not the same images: {first.shape} and {second.shape}")
    n = len(first)
    gained = int((second & ~first).sum())
    lost = int((first & ~second).sum())
    b, c, total = gained + 0.5, lost + 0.5, n + 2
    centre = (b - c) / total
    half = 1.959964 * math.sqrt(b + c - (b - c) ** 2 / total) / total
    return (gained - lost) / n, max(-1.0, centre - half), min(1.0, centre + half)


def mean_interval(values: np.ndarray) -> tuple[float, float]:
    """Return the 95 % t interval of the mean of values (n,); NaN for fewer than two values."""
    from scipy.stats import t

    n = len(values)
    if n < 2:
        return math.nan, math.nan
    half = float(t.ppf(0.975, n - 1)) * float(np.std(values, ddof=1)) / math.sqrt(n)
    mean = float(np.mean(values))
    return mean - half, mean + half
