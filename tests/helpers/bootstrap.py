"""Intervals by resampling, to check the closed ones against."""

from __future__ import annotations

import numpy as np

RESAMPLES = 10_000
CHUNK = 500  # resamples at a time: bounds the memory


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
