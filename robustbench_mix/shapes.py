"""What a network must fit: the images and classes of a data set."""

from __future__ import annotations

from dataclasses import dataclass

from robustbench_mix.splits import Dataset


@dataclass(frozen=True)
class Shape:
    """What a network must fit: colour channels, shorter image side in pixels, classes."""

    channels: int
    size: int
    classes: int


def shape_of(dataset: Dataset) -> Shape:
    """What a network for this data set must fit."""
    return Shape(dataset.channels, dataset.size, len(dataset.classes))
