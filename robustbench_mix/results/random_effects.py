"""A mean over seeds and images, both drawn from more: its error, interval and tests.

The values are one number for each pair of twins (a seed) on each image, as +1 where one twin alone
keeps the image, -1 where the other does, 0 where both fare alike. Twins of other seeds and other
images could have been drawn, so both vary: value = mean + seed + image + rest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import numpy as np

SIGNIFICANCE = 0.05  # of every two-sided test; intervals have 95 %
MOST_FLIPPED = 16  # seeds up to which all sign flips are counted; beyond, as many are drawn


@dataclass(frozen=True)
class Estimate:
    """A mean with its standard error, which has Student's t distribution.

    Attributes:
        mean: In the unit of the values.
        error: Standard error of the mean, in the same unit.
        degrees: Degrees of freedom of the error.
    """

    mean: float
    error: float
    degrees: float

    def interval(self) -> tuple[float, float]:
        """Return the ends of the 95 % interval."""
        from scipy.stats import t

        half = float(t.ppf(1 - SIGNIFICANCE / 2, self.degrees)) * self.error
        return self.mean - half, self.mean + half

    def p_above(self, bound: float) -> float:
        """Return the one-sided p against a true mean of at most `bound`."""
        from scipy.stats import t

        if self.error == 0:
            return 0.0 if self.mean > bound else 1.0
        return float(t.sf((self.mean - bound) / self.error, self.degrees))

    def p_below(self, bound: float) -> float:
        """Return the one-sided p against a true mean of at least `bound`."""
        return Estimate(-self.mean, self.error, self.degrees).p_above(-bound)


@dataclass(frozen=True)
class Components:
    """Variances of one value: from seed to seed, from image to image, and the rest.

    Attributes:
        seeds, images, rest: In the square of the values' unit, each at least 0.
    """

    seeds: float
    images: float
    rest: float


def estimate(values: np.ndarray) -> Estimate:
    """Estimate the mean of values of which seeds and images are both samples.

    Where every seed met every image, the two-way random-effects variance in closed form,
    (MS_seeds + MS_images - MS_rest) / (S N), with Satterthwaite's degrees of freedom (Biometrics
    Bulletin 1946). Otherwise the two-way cluster form V_seeds + V_images - V_both (Cameron, Gelbach
    & Miller, Journal of Business & Economic Statistics 2011). One seed leaves the images alone to
    vary: the interval then says nothing about other seeds.

    Args:
        values: (seeds, images); NaN where a seed did not meet an image.

    Returns:
        The estimate; of a single value one with an infinite error.

    Raises:
        ValueError: If there are no values, or a seed or an image has none.
    """
    met = ~np.isnan(values)
    if values.ndim != 2 or not met.size or not (met.any(0).all() and met.any(1).all()):
        raise ValueError(f"no mean over seeds and images: {values.shape}")
    if values.size == 1:
        return Estimate(float(values[0, 0]), math.inf, 1)
    if 1 in values.shape:
        flat = values.ravel()
        return Estimate(
            float(flat.mean()), float(flat.std(ddof=1)) / math.sqrt(len(flat)), len(flat) - 1
        )
    return _crossed(values) if met.all() else _clustered(values, met)


def _crossed(values: np.ndarray) -> Estimate:
    seeds, images = values.shape
    squares = _mean_squares(values)
    error, degrees = mean_error(*squares, seeds, images)
    return Estimate(float(values.mean()), error, degrees)


def mean_error(
    of_seeds: float, of_images: float, rest: float, seeds: int, images: int
) -> tuple[float, float]:
    """Return the standard error of a mean over seeds and images, and its degrees of freedom.

    Args:
        of_seeds, of_images, rest: Mean squares.
        seeds, images: How many there are, at least 2 of each.
    """
    degrees = seeds - 1, images - 1, (seeds - 1) * (images - 1)
    total = of_seeds + of_images - rest
    spread = sum(
        square**2 / free for square, free in zip((of_seeds, of_images, rest), degrees, strict=True)
    )
    if total <= rest:  # by chance: the truth is at least the rest
        return math.sqrt(rest / (seeds * images)), float(degrees[2])
    # Where the sum nearly cancels, the formula has fewer degrees than any of its parts.
    return math.sqrt(total / (seeds * images)), max(total**2 / spread, min(degrees))


def _clustered(values: np.ndarray, met: np.ndarray) -> Estimate:
    mean, count = float(values[met].mean()), int(met.sum())
    rest = np.where(met, values - mean, 0.0)

    def variance(sums: np.ndarray) -> float:
        return float((sums**2).sum()) / count**2 * len(sums) / (len(sums) - 1)

    by_seed, by_image = variance(rest.sum(1)), variance(rest.sum(0))
    total = by_seed + by_image - variance(rest[met])
    # Below either part it has gone wrong by chance: there is no variance without it.
    total = max(total, by_seed, by_image if (met.sum(0) > 1).any() else 0.0)
    return Estimate(mean, math.sqrt(total), min(values.shape) - 1)


def components(values: np.ndarray) -> Components:
    """Estimate the variance components of values (seeds, images), at least two of each."""
    seeds, images = values.shape
    of_seeds, of_images, rest = _mean_squares(values)
    return Components(max(0.0, of_seeds - rest) / images, max(0.0, of_images - rest) / seeds, rest)


def seeds_differ(values: np.ndarray) -> float:
    """Return the p of the F test that every seed has the same mean.

    Args:
        values: (seeds, images), at least two of each.

    Returns:
        Its p; 1 where nothing varies at all.
    """
    from scipy.stats import f

    seeds, images = values.shape
    of_seeds, _, rest = _mean_squares(values)
    if rest == 0:
        return 1.0 if of_seeds == 0 else 0.0
    return float(f.sf(of_seeds / rest, seeds - 1, (seeds - 1) * (images - 1)))


def t_over_seeds(means: np.ndarray) -> float:
    """Return the two-sided p of Student's t test that seeds have a mean of 0.

    Args:
        means: (seeds,), one mean per seed. With fewer than two of them p is 1.
    """
    if len(means) < 2:
        return 1.0
    over = Estimate(
        float(means.mean()), float(means.std(ddof=1)) / math.sqrt(len(means)), len(means) - 1
    )
    return min(1.0, 2 * min(over.p_above(0.0), over.p_below(0.0)))


def sign_flips(means: np.ndarray) -> float:
    """Return the two-sided p of the permutation test that flips the signs of seeds.

    Exact up to 16 seeds, where it cannot fall below 2 / 2^S; beyond, 65,536 flips are drawn
    (Fisher, The Design of Experiments, 1935).

    Args:
        means: (seeds,), one mean per seed.
    """
    count = len(means)
    if count <= MOST_FLIPPED:
        signs = np.array(list(product((1, -1), repeat=count)), dtype=float).reshape(-1, count)
    else:
        random = np.random.default_rng(0)
        signs = random.choice([1.0, -1.0], size=(2**MOST_FLIPPED, count))
        signs[0] = 1.0  # what was seen is one of the flips
    reached = np.abs(signs @ means) >= abs(means.sum()) - 1e-12
    return float(reached.mean())


def _mean_squares(values: np.ndarray) -> tuple[float, float, float]:
    """Mean squares of seeds, images and the rest (two-way analysis of variance)."""
    seeds, images = values.shape
    if seeds < 2 or images < 2:
        raise ValueError(f"two of each are needed: {values.shape} seeds and images")
    mean, by_seed, by_image = values.mean(), values.mean(1), values.mean(0)
    rest = values - by_seed[:, None] - by_image[None] + mean
    return (
        float(images * ((by_seed - mean) ** 2).sum() / (seeds - 1)),
        float(seeds * ((by_image - mean) ** 2).sum() / (images - 1)),
        float((rest**2).sum() / ((seeds - 1) * (images - 1))),
    )
