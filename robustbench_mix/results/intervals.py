"""95 % intervals for shares of images and for paired differences of two shares."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np


@cache
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


class SampledPart(NamedTuple):
    """A part of a finite population: its size, and how many of it a random sample has seen."""

    size: int
    sampled: int


def missed_at_most(parts: Sequence[SampledPart], most: int | None = None) -> int:
    """Return the one-sided 95 % upper bound on items of a kind that no sample has found.

    With k such items in a part of N, a sample of m misses all of them with the hypergeometric
    probability C(N-k, m) / C(N, m). The bound is the largest total for which the samples of all
    parts together miss them with a probability of at least 5 %. Each further item of a part lowers
    its probability by a larger factor than the one before. So the largest total is found by taking
    the item that lowers it least, again and again.

    Args:
        parts: The parts; each was sampled at random, without replacement, apart from the others.
        most: Where to stop counting.
    """
    steps = [(_log_factor(part, 0), part, 0) for part in parts if part.size > part.sampled]
    heapq.heapify(steps)
    total, room = 0, -math.log(0.05) + 1e-12
    while steps and (most is None or total < most):
        loss, part, items = heapq.heappop(steps)
        room -= loss
        if room < 0:
            break
        total += 1
        if items + 1 < part.size - part.sampled:
            heapq.heappush(steps, (_log_factor(part, items + 1), part, items + 1))
    return total


def _log_factor(part: SampledPart, items: int) -> float:
    """Return by how much one item more lowers the log-probability that a sample misses all."""
    left = part.size - items
    return math.log(left) - math.log(left - part.sampled)


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


def format_signed(point: float, low: float, high: float, factor: float = 100) -> str:
    """Return a difference and its interval as text, `+1.0 [-0.9, +2.9]`.

    Args:
        point: The difference.
        low: The lower end of its interval.
        high: The upper end.
        factor: What all are multiplied by: 100 for shares in percentage points.
    """
    point, low, high = (factor * value for value in (point, low, high))
    return f"{point:+.1f} [{low:+.1f}, {high:+.1f}]"


def mean_interval(values: np.ndarray) -> tuple[float, float]:
    """Return the 95 % t interval of the mean of values (n,); NaN for fewer than two values."""
    from scipy.stats import t

    n = len(values)
    if n < 2:
        return math.nan, math.nan
    half = float(t.ppf(0.975, n - 1)) * float(np.std(values, ddof=1)) / math.sqrt(n)
    mean = float(np.mean(values))
    return mean - half, mean + half
