"""A fixed bank of eight filters: Gaussians, their derivatives, a difference of Gaussians.

Trained depthwise filters come close to eight such shapes. Ours are the textbook's, sampled on the
kernel, not those extracted from trained networks.

Source: Babaiee et al., arXiv 2412.16751 and 2509.11711.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Standard deviations as a share of the kernel's size.
NARROW, MIDDLE, WIDE = 1 / 6, 1 / 4, 1 / 3
RATIO = 1.6  # ratio of the two Gaussians of the difference (Marr & Hildreth 1980)


def gaussian_bank(height: int, width: int) -> Tensor:
    """Sample the bank on a kernel.

    Args:
        height, width: Size of the kernel in pixels, at least 3.

    Returns:
        (8, height, width) float64: a narrow and a wide Gaussian, the two first and the three second
        derivatives, and a difference of Gaussians. Each has an l2 norm of 1; all but the Gaussians
        have a sum of 0.
    """
    rows, columns = _derivatives(height), _derivatives(width)
    narrow = _gaussian(height, width, NARROW)
    difference = narrow / narrow.sum()
    wider = _gaussian(height, width, NARROW * RATIO)
    difference = difference - wider / wider.sum()
    derivatives = [
        torch.outer(rows[down], columns[right])
        for down, right in ((0, 1), (1, 0), (0, 2), (2, 0), (1, 1))
    ]
    flat = [one - one.mean() for one in (*derivatives, difference)]
    bank = torch.stack([narrow, _gaussian(height, width, WIDE), *flat])
    norms: Tensor = torch.linalg.vector_norm(bank, dim=(1, 2), keepdim=True)
    return bank / norms


def _gaussian(height: int, width: int, share: float) -> Tensor:
    return torch.outer(_derivatives(height, share)[0], _derivatives(width, share)[0])


def _derivatives(size: int, share: float = MIDDLE) -> tuple[Tensor, Tensor, Tensor]:
    """Return a Gaussian on `size` positions around their middle, and its first two derivatives."""
    spread = size * share
    position = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    scaled = position / spread
    bell = torch.exp(-(scaled**2) / 2)
    return bell, -scaled * bell, (scaled**2 - 1) * bell
