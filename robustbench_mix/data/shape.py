"""The shape of a data set, which a network must fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from robustbench_mix.data.dataset import Dataset


@dataclass(frozen=True)
class Shape:
    """Images and classes of a data set.

    Args:
        channels: Number of colour channels.
        size: The shorter image side in pixels.
        classes: Number of classes.
        sides: Height and width of images that are not square.
    """

    channels: int
    size: int
    classes: int
    sides: tuple[int, int] | None = None

    @property
    def image(self) -> tuple[int, int, int]:
        """Shape of an image: channels, height and width."""
        return self.channels, *(self.sides or (self.size, self.size))


def shape_of(dataset: Dataset) -> Shape:
    """Return the shape of a data set."""
    height, width = dataset.train.images.shape[2:]
    sides = None if height == width else (height, width)
    return Shape(dataset.channels, dataset.size, len(dataset.classes), sides)


def scaled_sides(height: int, width: int, size: int) -> tuple[int, int]:
    """Return height and width, in pixels, scaled so that the shorter side has `size` pixels."""
    shorter = min(height, width)
    return round(height * size / shorter), round(width * size / shorter)


@torch.no_grad()
def run_on_blank_image(net: nn.Module, shape: Shape) -> Any:
    """Run the network, in eval mode, on one black image, and return its output.

    The image is on the network's device and in its memory format. The training modes of all
    modules are restored afterwards.
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
