"""How much a set of paired runs shows: intervals, tests, corrections, and what is missing.

A pair of twins over the same images gives one difference per image, -1, 0 or 1; seeds and
images are crossed, because every seed meets the same images.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

RESAMPLES = 10_000
CHUNK = 500  # resamples at a time: bounds the memory
LEVEL = 0.05  # of every test; intervals have 95 %
POWER = 0.8


@dataclass(frozen=True)
class Difference:
    """A mean paired difference of accuracies, as shares.

    `low` and `high` are the ends of its 95 % interval, `p` that of its test before any
    correction, `seeds` and `images` what it rests on.
    """

    point: float
    low: float
    high: float
    p: float
    seeds: int
    images: int


def difference(first: np.ndarray, second: np.ndarray, *, seed: int = 0) -> Difference:
    """Share of `second` minus share of `first`, bool arrays (seeds, images) of the same pairs."""
    if first.shape != second.shape or first.ndim != 2 or not first.size:
        raise ValueError(f"not the same pairs: {first.shape} and {second.shape}")
    gain = second.astype(np.int8) - first.astype(np.int8)
    low, high = crossed_bootstrap(gain, seed=seed)
    return Difference(float(gain.mean()), low, high, sign_test(gain), *gain.shape)


def crossed_bootstrap(values: np.ndarray, *, seed: int = 0) -> tuple[float, float]:
    """A 95 % interval for the mean of values (seeds, images), resampling both.

    Each resample draws seeds and, independently, images with replacement, and averages the
    values where they meet (the pigeonhole bootstrap, Owen, Annals of Applied Statistics
    2007): two seeds that miss the same image are not counted as two findings. One seed
    leaves the images alone to vary: the interval then says nothing about other seeds.
    """
    seeds, images = values.shape
    random = np.random.default_rng(seed)
    # Images that fared alike under every seed are interchangeable: drawn as one kind.
    kinds, sizes = np.unique(values, axis=1, return_counts=True)
    means = []
    for start in range(0, RESAMPLES, CHUNK):
        count = min(CHUNK, RESAMPLES - start)
        of_seeds = random.multinomial(seeds, np.full(seeds, 1 / seeds), count)
        of_images = random.multinomial(images, sizes / images, count)
        means.append(((of_seeds @ kinds.astype(float)) * of_images).sum(1) / values.size)
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975])
    return float(low), float(high)


def sign_test(gain: np.ndarray) -> float:
    """Two-sided exact p of images that gained against images that lost, over all seeds.

    gain: (seeds, images) in -1, 0, 1. An image counts once, by the sign of its sum over the
    seeds, so that the tested units are independent. With one seed this is McNemar's exact
    test (Psychometrika 1947).
    """
    from scipy.stats import binomtest

    total = gain.sum(0, dtype=int)
    gained, lost = int((total > 0).sum()), int((total < 0).sum())
    return float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0


def holm(p: list[float]) -> list[float]:
    """p-values corrected for their number (Holm, Scandinavian Journal of Statistics 1979)."""
    corrected, largest = [0.0] * len(p), 0.0
    for rank, position in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        largest = max(largest, min(1.0, (len(p) - rank) * p[position]))
        corrected[position] = largest
    return corrected


def images_needed(discordant: float, effect: float, tests: int = 1) -> int:
    """Images for a McNemar test to find `effect` with power 0.8 (Miettinen, Biometrics 1968).

    `discordant` is the share of images on which the twins differ, `effect` the difference
    of their accuracies as a share, `tests` the number that Holm's correction divides by.
    """
    from scipy.stats import norm

    if effect == 0:
        raise ValueError("no number of images finds an effect of 0")
    discordant = max(discordant, abs(effect))
    level = float(norm.ppf(1 - LEVEL / tests / 2))
    power = float(norm.ppf(POWER))
    spread = level * math.sqrt(discordant) + power * math.sqrt(discordant - effect**2)
    return math.ceil((spread / effect) ** 2)


def seeds_needed(spread: float, effect: float) -> int:
    """Seeds for a paired t test to find `effect` with power 0.8.

    `spread` is the standard deviation of the difference from seed to seed, of at least two
    of them. Found by trying 2, 3, ... with the noncentral t distribution.
    """
    from scipy.stats import nct, t

    if effect == 0:
        raise ValueError("no number of seeds finds an effect of 0")
    for seeds in range(2, 1000):
        shift = abs(effect) * math.sqrt(seeds) / max(spread, 1e-12)
        limit = t.ppf(1 - LEVEL / 2, seeds - 1)
        if shift > 30 or nct.sf(limit, seeds - 1, shift) >= POWER:
            return seeds
    return 1000
