"""Directions and projections for a batch of images, each with its own radius."""

from __future__ import annotations

import torch
from torch import Tensor


def into_ball(point: Tensor, x: Tensor, eps: Tensor, norm: str) -> Tensor:
    """Project points into the balls, then clip them to the box [0, 1].

    Rounding may leave a point slightly outside; the engine projects exactly.

    Args:
        point: Points to project, (B, C, H, W).
        x: Centres of the balls, (B, C, H, W).
        eps: Radii, (B,).
        norm: Norm of the balls, `linf` or `l2`.
    """
    delta = point - x
    if norm == "linf":
        reach = wide(eps)
        return (x + delta.clamp(-reach, reach)).clamp(0, 1)
    length = delta.flatten(1).norm(dim=1)
    factor = torch.minimum(length, eps) / (length + 1e-12)
    return (x + delta * wide(factor)).clamp(0, 1)


def steepest(grad: Tensor, norm: str) -> Tensor:
    """Return the direction of length one in which the loss rises fastest, shaped like `grad`."""
    return grad.sign() if norm == "linf" else unit(grad, norm)


def unit(delta: Tensor, norm: str) -> Tensor:
    """Scale each image's tensor to length one."""
    flat = delta.flatten(1)
    length = flat.abs().amax(1) if norm == "linf" else flat.norm(dim=1)
    return delta / wide(length + 1e-12)


def wide(values: Tensor) -> Tensor:
    """Reshape one value per image to broadcast over images: (B,) -> (B, 1, 1, 1)."""
    return values[:, None, None, None]
