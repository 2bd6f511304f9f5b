"""Data sets as tensors, and the fixed subset that `--examples` takes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from robustbench_mix.errors import RbmixError


@dataclass(frozen=True)
class Split:
    """Images with their labels and their positions in the whole split.

    Args:
        images: (N, C, H, W), uint8 from 0 to `grey_levels`, or float32 in [0, 1].
        labels: (N,) int64.
        index: (N,) int64; the position of each image in the whole split, which names the image.
        grey_levels: The value of a white pixel; 1 for float32 images.
    """

    images: Tensor
    labels: Tensor
    index: Tensor
    grey_levels: int

    def __len__(self) -> int:
        return len(self.labels)

    def pixels(self, start: int = 0, stop: int | None = None) -> Tensor:
        """Return the images from start to stop as float32 in [0, 1], (n, C, H, W)."""
        return self.images[start:stop].float() / self.grey_levels

    @cached_property
    def hash(self) -> str:
        """Twelve hexadecimal digits of the SHA-256 of everything in the split."""
        digest = hashlib.sha256(f"{tuple(self.images.shape)} {self.grey_levels}".encode())
        for tensor in (self.images, self.labels, self.index):
            digest.update(tensor.contiguous().numpy().data)  # without a copy
        return digest.hexdigest()[:12]

    def take(self, chosen: Tensor) -> Split:
        """Return the images at the positions `chosen`, (n,) int64, in this order."""
        return replace(
            self,
            images=self.images[chosen],
            labels=self.labels[chosen],
            index=self.index[chosen],
        )

    def positions_of(self, chosen: Split) -> list[int]:
        """Return the positions in this split of the images of `chosen`, a part of it."""
        return torch.nonzero(torch.isin(self.index, chosen.index)).flatten().tolist()


@dataclass(frozen=True)
class Dataset:
    """A train and a test split over the same classes.

    Args:
        name: The name of the data set.
        classes: The names of the classes in the order of their labels.
        train: The images to train on.
        test: The images to attack.
        labels_are_outputs: Whether each label is known to be the number of an output, so that a
            network may have more outputs than there are classes.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    test: Split
    labels_are_outputs: bool = False

    @property
    def channels(self) -> int:
        """Number of colour channels."""
        return int(self.train.images.shape[1])

    @property
    def size(self) -> int:
        """The shorter image side in pixels."""
        return int(min(self.train.images.shape[2:]))

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Compute the statistics of the training pixels per channel.

        Returns:
            Mean and standard deviation of pixels in [0, 1], (C,) float32 each.
        """
        if self.train.images.is_floating_point():
            pixels = self.train.pixels().double().transpose(0, 1).flatten(1)
            return pixels.mean(1).float(), pixels.std(1, correction=0).clamp_min(1e-6).float()
        values = torch.arange(256, dtype=torch.float64) / self.train.grey_levels
        means, stds = [], []
        for channel in range(self.channels):
            # A few images at a time, because counting takes eight bytes per pixel.
            parts = torch.split(self.train.images[:, channel], 1000)
            counts = torch.stack([torch.bincount(p.flatten(), minlength=256) for p in parts]).sum(0)
            share = counts.double() / counts.sum()
            mean = (share * values).sum()
            means.append(mean)
            stds.append((share * (values - mean) ** 2).sum().sqrt().clamp_min(1e-6))
        return torch.stack(means).float(), torch.stack(stds).float()


def balanced_subset(split: Split, n: int) -> Split:
    """Return a fixed, class-balanced subset of `n` images, the same on every machine.

    Each class gives its images in the order of a hash of their positions. Classes take turns, so
    that their counts differ by at most one while no class runs out. If there are fewer than `n`
    images, all of them are returned.

    Raises:
        RbmixError: `n` is less than 1.
    """
    if n < 1:
        raise RbmixError(f"number of examples {n} must be at least 1")
    if n >= len(split):
        return split
    keys = [_shuffle_key(int(i)) for i in split.index]
    by_class: dict[int, list[int]] = {}
    for position, label in enumerate(split.labels.tolist()):
        by_class.setdefault(label, []).append(position)
    turns = []
    for label, positions in by_class.items():
        positions.sort(key=lambda position: keys[position])
        turns += [(turn, label, position) for turn, position in enumerate(positions)]
    chosen = sorted(position for _, _, position in sorted(turns)[:n])
    return split.take(torch.tensor(chosen, dtype=torch.int64))


def _shuffle_key(index: int) -> str:
    return hashlib.sha256(str(index).encode()).hexdigest()
