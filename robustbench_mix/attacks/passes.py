"""Forward and gradient passes of a model: their total cost, and a counter of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

GRADIENT = 1.0  # cost of an input gradient in forward passes, in addition to its forward pass


class Count(NamedTuple):
    """Forward and gradient passes."""

    forward: float = 0.0
    gradient: float = 0.0

    @property
    def work(self) -> float:
        """The total cost in forward passes."""
        return self.forward + GRADIENT * self.gradient

    def times(self, factor: float) -> Count:
        """Multiply both counts by a factor."""
        return Count(factor * self.forward, factor * self.gradient)


class PassCounter:
    """Counts passes: one per image and forward pass, one per image and gradient.

    Args:
        images: Number of images in the batch that is attacked.
        on_pass: Called with the counter after each pass.

    Attributes:
        forward: Forward passes so far.
        gradient: Gradient passes so far.
        each: Passes of both kinds per image, (2, images) int64 on the CPU. Passes whose image is
            not known are left out, because libraries pack their batches themselves.
        finite: Whether all logits were finite since the last check, () bool.
    """

    def __init__(
        self, images: int = 0, on_pass: Callable[[PassCounter], None] | None = None
    ) -> None:
        self.on_pass = on_pass
        self.forward = 0
        self.gradient = 0
        self.each = torch.zeros(2, images, dtype=torch.int64)
        self.finite = torch.ones((), dtype=torch.bool)

    def add(self, kind: int, count: int, images: Tensor) -> None:
        """Count one pass for each of `count` images.

        Args:
            kind: 0 for a forward pass, 1 for a gradient.
            count: Number of images in the pass.
            images: Their positions in the batch, (count,) int64; of another length if the
                positions are not known.
        """
        if kind == 0:
            self.forward += count
        else:
            self.gradient += count
        if len(images) == count:
            # An image may occur more than once, with several target classes.
            self.each[kind].index_add_(0, images, torch.ones_like(images))
        if self.on_pass is not None:
            self.on_pass(self)
