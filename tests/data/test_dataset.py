"""Splits, subsets and the statistics of pixels."""

from __future__ import annotations

import pytest
import torch

from robustbench_mix.data.dataset import Dataset, Split, balanced_subset
from robustbench_mix.errors import RbmixError


def make_split(counts: list[int]) -> Split:
    """Random images of 2 x 3 x 4, so many of each class."""
    labels = torch.cat([torch.full((n,), label) for label, n in enumerate(counts)])
    images = torch.randint(0, 256, (len(labels), 2, 3, 4), dtype=torch.uint8)
    return Split(images, labels, torch.arange(len(labels)), grey_levels=255)


def test_a_subset_is_balanced_and_contained_in_larger_ones() -> None:
    """Counts differ by one at most, until a class runs out."""
    split = make_split([10, 10, 2])
    few, more = balanced_subset(split, 7), balanced_subset(split, 13)
    assert torch.bincount(few.labels, minlength=3).tolist() in ([3, 2, 2], [2, 3, 2])
    assert torch.bincount(more.labels).tolist() in ([6, 5, 2], [5, 6, 2])
    assert set(few.index.tolist()) < set(more.index.tolist())
    assert balanced_subset(split, 99) is split
    with pytest.raises(RbmixError, match="number of examples 0 must be at least 1"):
        balanced_subset(split, 0)


def test_positions_of_a_part() -> None:
    """Where its images are in the whole, by their names."""
    split = make_split([3, 3])
    assert split.positions_of(split.take(torch.tensor([1, 4]))) == [1, 4]


def test_statistics_of_bytes_and_of_floats_agree() -> None:
    """And are those of the pixels."""
    split = make_split([40, 40])
    floats = Split(split.pixels(), split.labels, split.index, grey_levels=1)
    for one in (split, floats):
        mean, std = Dataset("any", ("a", "b"), one, one).statistics()
        pixels = split.pixels().transpose(0, 1).flatten(1)
        torch.testing.assert_close(mean, pixels.mean(1))
        torch.testing.assert_close(std, pixels.std(1, correction=0))
    assert split.hash != floats.hash
