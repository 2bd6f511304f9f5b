"""Data sets: content, subsets, class folders, and CIFAR's own loading code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision

from robustbench_mix.data import loaders
from robustbench_mix.data.dataset import Split, balanced_subset
from robustbench_mix.errors import RbmixError


def test_digits_are_scikit_learns() -> None:
    """1,797 real digits, disjoint splits, 30 test images a class, pixels in [0, 1]."""
    digits = loaders.load("digits")
    assert (len(digits.train), len(digits.test)) == (1497, 300)
    assert set(digits.train.index.tolist()).isdisjoint(digits.test.index.tolist())
    assert digits.test.labels.bincount().tolist() == [30] * 10
    pixels = digits.test.pixels()
    assert pixels.shape == (300, 1, 8, 8)
    assert (pixels.min(), pixels.max()) == (0, 1)
    # The subset of every machine: a change here breaks all comparisons with earlier rows.
    assert balanced_subset(digits.test, 128).hash == "7f18ac137f27"


def test_statistics_are_those_of_the_pixels() -> None:
    """Mean and deviation per channel, from counts, equal the direct computation."""
    images = torch.randint(0, 256, (7, 3, 4, 5), dtype=torch.uint8)
    split = Split(images, torch.zeros(7, dtype=torch.int64), torch.arange(7), 255)
    mean, std = loaders.Dataset("x", ("a", "b"), split, split).statistics()
    pixels = split.pixels().double().transpose(0, 1).flatten(1)
    torch.testing.assert_close(mean.double(), pixels.mean(1), rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(std.double(), pixels.std(1, correction=0), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("n", [1, 7, 10, 33, 128, 299])
def test_balanced_subset(n: int) -> None:
    """Exactly n images, class counts within one, nested in every larger subset."""
    test = loaders.load("digits").test
    subset = balanced_subset(test, n)
    counts = subset.labels.bincount(minlength=10)
    assert len(subset) == n
    assert counts.max() - counts.min() <= 1
    assert set(subset.index.tolist()) <= set(balanced_subset(test, n + 1).index.tolist())


def test_balanced_gives_all_and_refuses_none() -> None:
    """More than there are gives all; less than one is an error."""
    test = loaders.load("digits").test
    assert len(balanced_subset(test, 10_000)) == 300
    with pytest.raises(RbmixError, match="examples 0 must be at least 1"):
        balanced_subset(test, 0)


def test_hash_sees_pixels_labels_and_order() -> None:
    """Any change of content changes the hash."""
    test = loaders.load("digits").test
    brighter = test.images.clone()
    brighter[0, 0, 0, 0] += 1
    hashes = {
        test.hash,
        Split(brighter, test.labels, test.index, 16).hash,
        Split(test.images, test.labels.roll(1), test.index, 16).hash,
        Split(test.images, test.labels, test.index, 255).hash,
        test.take(torch.arange(299, -1, -1)).hash,
    }
    assert len(hashes) == 5


def test_cifar10_through_torchvision(home: Path, write_cifar10) -> None:
    """torchvision's real loader reads files in the original format."""
    test = write_cifar10(home / "data")
    loaded = loaders.load("cifar10")
    assert loaded.classes[3] == "class3"
    assert len(loaded.train) == 50
    assert np.array_equal(loaded.test.images.numpy(), test.reshape(10, 3, 32, 32))
    assert loaded.test.labels.tolist() == list(range(10))


def test_cifar10_without_a_network(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line says what is missing, where it was looked for, and what works offline."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(torchvision.datasets.cifar, "download_and_extract_archive", refuse)
    with pytest.raises(RbmixError, match="'cifar10' is not in .*home.*--dataset digits") as error:
        loaders.load("cifar10")
    assert "\n" not in str(error.value)
