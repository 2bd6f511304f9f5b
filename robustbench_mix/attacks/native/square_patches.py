"""The squares of the Square attack: their size, position and values.

The schedule and the random draws are AutoAttack's.

Source: Andriushchenko et al., arXiv 1912.00049.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from robustbench_mix.attacks.random import signs

P_INIT = 0.8
# The share of pixels that a square covers halves at these steps.
HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)


def side_at(query: int, x: Tensor, norm: str) -> int:
    """Return the side of the squares in pixels.

    Args:
        query: The number of the query.
        x: Images of the same shape, (B, C, H, W).
        norm: `linf` or `l2`.
    """
    height, width = x.shape[2:]
    share = P_INIT / 2 ** sum(query > at for at in HALVINGS)
    side = round(math.sqrt(share * height * width))
    side = max(side, 1) if norm == "linf" else max(side, 3) | 1
    return min(side, height, width)


def stripes(x: Tensor, eps: Tensor, seeds: Tensor) -> Tensor:
    """Draw the l-infinity start: vertical stripes of random sign, one per column and channel.

    Args:
        x: Images, (B, C, H, W).
        eps: Their radii, (B, 1, 1, 1).
        seeds: Their seeds, (B,) int64.
    """
    count, channels, _, width = x.shape
    sign = signs(seeds, 0, channels * width).view(count, channels, 1, width)
    return (x + eps * sign).clamp(0, 1)


def repaint(x: Tensor, best: Tensor, eps: Tensor, side: Tensor, draw: Tensor) -> Tensor:
    """Set one square of each channel to a random side of the l-infinity ball.

    Args:
        x: Images, (B, C, H, W).
        best: Their best points so far, (B, C, H, W).
        eps: Their radii, (B, 1, 1, 1).
        side: Sides of the squares in pixels, (B,) int64.
        draw: Uniform numbers for the positions and the sides, (B, 2 + channels).
    """
    height, width = x.shape[2:]
    rows = window(draw[:, 0], height, side)[:, None, :, None]
    columns = window(draw[:, 1], width, side)[:, None, None, :]
    sign = torch.where(draw[:, 2:] < 0.5, -1.0, 1.0)[:, :, None, None]
    return torch.where(rows & columns, (x + eps * sign).clamp(0, 1), best)


def window(draw: Tensor, length: int, side: int | Tensor) -> Tensor:
    """Return which of `length` positions lie in each image's window, (B, length) bool.

    Args:
        draw: Uniform numbers for the starts of the windows, (B,).
        length: Number of positions.
        side: Length of the windows, one or (B,) int64.
    """
    start = corner(draw, length, side)[:, None]
    end = start + (side[:, None] if isinstance(side, Tensor) else side)
    position = torch.arange(length, device=draw.device)
    return (position >= start) & (position < end)


def corner(draw: Tensor, length: int, side: int | Tensor) -> Tensor:
    """Return whole numbers in [0, length - side), as the library draws them; 0 if that is empty.

    Args:
        draw: Uniform numbers, (B,).
        length: Number of positions.
        side: Length of the windows, one or (B,) int64.
    """
    return (draw * (length - side)).long()
