"""Estimate a mean over random seeds and random images: its error, interval and tests.

There is one value for each pair of twins (a seed) on each image, for example +1 if only one twin
keeps the image, -1 if only the other does, 0 if both do or neither does. Seeds and images are both
samples, so both vary: value = mean + seed + image + rest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import numpy as np

SIGNIFICANCE = 0.05  # significance level of every two-sided test; intervals have 95 %
MOST_FLIPPED = 16  # largest number of seeds with all sign flips; for more, 2^16 flips are drawn


@dataclass(frozen=True)
class Estimate:
    """A mean with its standard error; their ratio follows Student's t distribution.

    Attributes:
        mean: The mean, in the unit of the values.
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
        seeds, images, rest: Variances in the square of the values' unit, each at least 0.
    """

    seeds: float
    images: float
    rest: float


def estimate(values: np.ndarray) -> Estimate:
    """Estimate the mean of values over seeds and images, both of which are samples.

    If every seed met every image, the variance of the mean is that of two-way random effects,
    (MS_seeds + MS_images - MS_rest) / (S N), with Satterthwaite's degrees of freedom. Otherwise it
    is that of two-way clusters, V_seeds + V_images - V_both. With one seed only the images vary:
    the interval then says nothing about other seeds.

    Args:
        values: The values, (seeds, images); NaN where a seed did not meet an image.

    Returns:
        The estimate; its error is infinite for a single value.

    Raises:
        ValueError: If there are no values, or a seed or an image has none.

    Sources: Satterthwaite, Biometrics Bulletin 1946; Cameron, Gelbach & Miller, Journal of
    Business & Economic Statistics 2011.
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
        of_seeds, of_images, rest: Mean squares of the analysis of variance.
        seeds, images: Numbers of seeds and of images, at least 2 each.
    """
    degrees = seeds - 1, images - 1, (seeds - 1) * (images - 1)
    total = of_seeds + of_images - rest
    spread = sum(
        square**2 / free for square, free in zip((of_seeds, of_images, rest), degrees, strict=True)
    )
    if total <= rest:  # only by chance: the true value is at least the rest
        return math.sqrt(rest / (seeds * images)), float(degrees[2])
    # If the sum nearly cancels, the formula gives fewer degrees than any of its parts has.
    return math.sqrt(total / (seeds * images)), max(total**2 / spread, min(degrees))


def _clustered(values: np.ndarray, met: np.ndarray) -> Estimate:
    mean, count = float(values[met].mean()), int(met.sum())
    rest = np.where(met, values - mean, 0.0)

    def variance(sums: np.ndarray) -> float:
        return float((sums**2).sum()) / count**2 * len(sums) / (len(sums) - 1)

    by_seed, by_image = variance(rest.sum(1)), variance(rest.sum(0))
    total = by_seed + by_image - variance(rest[met])
    # A total below either part occurs only by chance: the true variance contains both.
    total = max(total, by_seed, by_image if (met.sum(0) > 1).any() else 0.0)
    return Estimate(mean, math.sqrt(total), min(values.shape) - 1)


def components(values: np.ndarray) -> Components:
    """Estimate the variance components of values (seeds, images), at least two of each."""
    seeds, images = values.shape
    of_seeds, of_images, rest = _mean_squares(values)
    return Components(max(0.0, of_seeds - rest) / images, max(0.0, of_images - rest) / seeds, rest)


def seeds_differ(values: np.ndarray) -> float:
    """Return the p-value of the F test that every seed has the same mean.

    Args:
        values: The values, (seeds, images), at least two of each.

    Returns:
        The p-value; 1 if nothing varies at all.
    """
    from scipy.stats import f

    seeds, images = values.shape
    of_seeds, _, rest = _mean_squares(values)
    if rest == 0:
        return 1.0 if of_seeds == 0 else 0.0
    return float(f.sf(of_seeds / rest, seeds - 1, (seeds - 1) * (images - 1)))


def t_over_seeds(means: np.ndarray) -> float:
    """Return the two-sided p-value of Student's t test that seeds have a mean of 0.

    Args:
        means: One mean per seed, (seeds,). For fewer than two the p-value is 1.
    """
    if len(means) < 2:
        return 1.0
    over = Estimate(
        float(means.mean()), float(means.std(ddof=1)) / math.sqrt(len(means)), len(means) - 1
    )
    return min(1.0, 2 * min(over.p_above(0.0), over.p_below(0.0)))


def sign_flips(means: np.ndarray) -> float:
    """Return the two-sided p-value of the permutation test that flips the signs of seeds.

    It is exact up to 16 seeds, where it is at least 2 / 2^S for S seeds. For more, 65,536 flips
    are drawn.

    Args:
        means: One mean per seed, (seeds,).

    Source: Fisher, The Design of Experiments, 1935.
    """
    count = len(means)
    if count <= MOST_FLIPPED:
        signs = np.array(list(product((1, -1), repeat=count)), dtype=float).reshape(-1, count)
    else:
        random = np.random.default_rng(0)
        signs = random.choice([1.0, -1.0], size=(2**MOST_FLIPPED, count))
        signs[0] = 1.0  # the observed signs are one of the flips
    reached = np.abs(signs @ means) >= abs(means.sum()) - 1e-12
    return float(reached.mean())


def _mean_squares(values: np.ndarray) -> tuple[float, float, float]:
    """Return the mean squares of seeds, images and the rest (two-way analysis of variance)."""
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
