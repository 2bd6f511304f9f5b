"""What a network must fit: the images and classes of a data set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from robustbench_mix.data.dataset import Dataset


@dataclass(frozen=True)
class Shape:
    """What a network must fit: colour channels, shorter image side in pixels, classes.

    `sides` are height and width of images that are not square.
    """

    channels: int
    size: int
    classes: int
    sides: tuple[int, int] | None = None

    @property
    def image(self) -> tuple[int, int, int]:
        """Channels, height and width."""
        return self.channels, *(self.sides or (self.size, self.size))


def shape_of(dataset: Dataset) -> Shape:
    """What a network for this data set must fit."""
    height, width = dataset.train.images.shape[2:]
    sides = None if height == width else (height, width)
    return Shape(dataset.channels, dataset.size, len(dataset.classes), sides)


def scaled_sides(height: int, width: int, size: int) -> tuple[int, int]:
    """Height and width when the shorter side becomes `size`, the proportions kept."""
    shorter = min(height, width)
    return round(height * size / shorter), round(width * size / shorter)


@torch.no_grad()
def run_on_blank_image(net: nn.Module, shape: Shape) -> Any:
    """What the network, in eval mode, gives for one black image of this shape.

    The image is on the network's device and in its memory format; modes are put back afterwards.
    """
    modes = [(module, module.training) for module in net.modules()]
    like = next(net.parameters(), torch.empty(0))
    x = torch.zeros(1, *shape.image, device=like.device)
    if like.ndim == 4 and not like.is_contiguous():
        x = x.contiguous(memory_format=torch.channels_last)
    try:
        return net.eval()(x)
    finally:
        for module, training in modes:
            module.training = training
