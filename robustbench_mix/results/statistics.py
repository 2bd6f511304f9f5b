"""Differences of paired runs, with their tests and corrections.

A pair of twins on the same images gives one difference per image, -1, 0 or 1. Seeds and images are
crossed, because every seed meets the same images.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robustbench_mix.results.random_effects import (
    Estimate,
    estimate,
    seeds_differ,
    sign_flips,
    t_over_seeds,
)

SMALLEST_P = 1e-4  # smaller p-values say no more


@dataclass(frozen=True)
class Difference:
    """A mean paired difference of twins.

    Attributes:
        point: The mean over seeds and images, second minus first.
        low, high: Ends of its 95 % interval, seeds and images both varying.
        p: Two-sided p-value of Student's t over the means of seeds.
        flips: Two-sided p-value of the exact sign-flip permutation over seeds.
        unlike: p-value of the F test that seeds do not differ; None for one seed.
        seeds, images: Numbers of seeds and of images.
        error, degrees: Standard error of the point, and its degrees of freedom.
    """

    point: float
    low: float
    high: float
    p: float
    flips: float
    unlike: float | None
    seeds: int
    images: int
    error: float
    degrees: float

    def p_above(self, bound: float) -> float:
        """Return the one-sided p against a true difference of at most `bound`."""
        return Estimate(self.point, self.error, self.degrees).p_above(bound)

    def p_below(self, bound: float) -> float:
        """Return the one-sided p against a true difference of at least `bound`."""
        return Estimate(self.point, self.error, self.degrees).p_below(bound)


def format_p(p: float) -> str:
    """Return a p-value with two digits, or `<1e-4`."""
    return "<1e-4" if p < SMALLEST_P else f"{p:.2g}"


def difference(first: np.ndarray, second: np.ndarray) -> Difference:
    """Estimate the mean of `second` minus `first`.

    Args:
        first, second: Values of the same pairs, (seeds, images): bool, whether an image is kept,
            or float.

    Raises:
        ValueError: If they are not of the same pairs, or empty.
    """
    if first.shape != second.shape or first.ndim != 2 or not first.size:
        raise ValueError(f"not the same pairs: {first.shape} and {second.shape}")
    gain = second.astype(float) - first.astype(float)
    found, means = estimate(gain), gain.mean(1)
    low, high = found.interval()
    return Difference(
        point=found.mean,
        low=low,
        high=high,
        p=t_over_seeds(means),
        flips=sign_flips(means),
        unlike=seeds_differ(gain) if min(gain.shape) > 1 else None,
        seeds=gain.shape[0],
        images=gain.shape[1],
        error=found.error,
        degrees=found.degrees,
    )


def holm(p: list[float]) -> list[float]:
    """Return p-values corrected for their number.

    Source: Holm, Scandinavian Journal of Statistics 1979.
    """
    corrected, largest = [0.0] * len(p), 0.0
    for rank, position in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        largest = max(largest, min(1.0, (len(p) - rank) * p[position]))
        corrected[position] = largest
    return corrected
