"""Forward and gradient passes of a network, and what they cost together."""

from __future__ import annotations

from typing import NamedTuple

GRADIENT = 1.0  # what a gradient costs, in forward passes: input gradients, on top of their own


class Count(NamedTuple):
    """Forward and gradient passes."""

    forward: float = 0.0
    gradient: float = 0.0

    @property
    def work(self) -> float:
        """What they cost together, in forward passes."""
        return self.forward + GRADIENT * self.gradient

    def times(self, factor: float) -> Count:
        """So many of them."""
        return Count(factor * self.forward, factor * self.gradient)
