"""Random numbers as a function of (image, step, position), without state and on any device.

A counter-based generator: the SplitMix64 finaliser, applied to the image's seed plus a multiple of
the golden ratio. An image draws the same numbers in any batch and on any device, and nothing is
drawn on the host inside a loop.

Source: Steele, Lea & Flood, OOPSLA 2014.
"""

from __future__ import annotations

import torch
from torch import Tensor

GOLDEN = 0x9E3779B97F4A7C15 - 2**64
FIRST = 0xBF58476D1CE4E5B9 - 2**64
SECOND = 0x94D049BB133111EB - 2**64
WIDTH = 1 << 24  # maximum number of draws of one step


def uniform(seeds: Tensor, step: int | Tensor, count: int) -> Tensor:
    """Draw uniform numbers in [0, 1), multiples of 2^-24 and so exact in float32.

    Args:
        seeds: The seed of each image, (B,) int64.
        step: The number of the attack's step, or one per image, (B,) int64.
        count: Numbers per image, at most 2^24.

    Returns:
        The numbers, (B, count) float32.
    """
    position = torch.arange(1, count + 1, dtype=torch.int64, device=seeds.device)
    at = step[:, None] if isinstance(step, Tensor) else step
    bits = _finalise(seeds[:, None] + GOLDEN * (position + at * WIDTH))
    return _shift(bits, 40).to(torch.float32) * 2.0**-24


def signs(seeds: Tensor, step: int, count: int) -> Tensor:
    """Draw -1 or 1 with equal odds, (B, count) float32; arguments as for `uniform`."""
    return torch.where(uniform(seeds, step, count) < 0.5, -1.0, 1.0)


def normal(seeds: Tensor, step: int, count: int) -> Tensor:
    """Draw standard normal numbers, (B, count) float32; arguments as for `uniform`.

    Source: Box & Muller, Annals of Mathematical Statistics 1958.
    """
    half = (count + 1) // 2
    both = uniform(seeds, step, 2 * half)
    radius = torch.sqrt(-2 * torch.log1p(-both[:, :half]))
    angle = 2 * torch.pi * both[:, half:]
    return torch.cat([radius * angle.cos(), radius * angle.sin()], dim=1)[:, :count]


def derive(seeds: Tensor, number: int | Tensor) -> Tensor:
    """Return new seeds, (B,) int64, that are independent of these for each number above 0."""
    return _finalise(seeds + GOLDEN * torch.as_tensor(number, device=seeds.device))


def _finalise(z: Tensor) -> Tensor:
    """Spread each 64-bit number over all bits; products wrap around."""
    z = (z ^ _shift(z, 30)) * FIRST
    z = (z ^ _shift(z, 27)) * SECOND
    return z ^ _shift(z, 31)


def _shift(z: Tensor, places: int) -> Tensor:
    """Shift right and fill with zeros, which `>>` on signed numbers does not do."""
    return (z >> places) & ((1 << (64 - places)) - 1)
