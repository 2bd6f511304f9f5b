"""Norm balls around images: measuring, drawing and exact projection.

Images are (B, C, H, W) floats in [0, 1]; norms are per image, measured in float64.
"""

from __future__ import annotations

import torch
from torch import Tensor


def distance(x_adv: Tensor, x: Tensor, norm: str) -> Tensor:
    """The `norm` (`linf` or `l2`) of x_adv - x per image, (B,) float64."""
    delta = (x_adv.double() - x.double()).flatten(1)
    return delta.abs().amax(1) if norm == "linf" else delta.norm(dim=1)


def project(x_adv: Tensor, x: Tensor, eps: float, norm: str) -> Tensor:
    """The point near x_adv that lies in the eps-ball around x and in the box [0, 1].

    Exact in floating point: `distance` of the result never exceeds eps, not by one unit
    in the last place. NaNs are replaced by x. For l2 the box is met by clipping first
    and the ball by scaling then, which stays in the box because x does.
    """
    x_adv = torch.where(x_adv.isnan(), x, x_adv).clamp(0, 1)
    delta = x_adv.double() - x.double()
    if norm == "linf":
        near = (x.double() + delta.clamp(-eps, eps)).to(x.dtype)
        # Rounding to x.dtype can step out by half a unit: one step back is enough.
        outside = (near.double() - x.double()).abs() > eps
        return torch.where(outside, torch.nextafter(near, x), near)
    length = delta.flatten(1).norm(dim=1).clamp_min(torch.finfo(torch.float64).tiny)
    kept = (length <= eps)[:, None, None, None]
    near = x
    for shrink in (1.0, 1 - 1e-7, 1 - 1e-6, 1 - 1e-5):
        # Rounding to x.dtype can leave the ball; a slightly shorter step then stays in.
        factor = (shrink * eps / length)[:, None, None, None]
        candidate = torch.where(kept, x_adv, (x.double() + delta * factor).to(x.dtype))
        inside = (distance(candidate, x, norm) <= eps)[:, None, None, None]
        near = torch.where((near == x) & inside, candidate, near)
    return near


def random_point(x: Tensor, eps: float, norm: str, generators: list[torch.Generator]) -> Tensor:
    """A point drawn uniformly from the eps-ball around each image, clipped to [0, 1].

    Image i uses `generators[i]` (on the CPU) alone, so its point does not depend on the
    batch it sits in.
    """
    shape = x.shape[1:]
    if norm == "linf":
        noise = torch.stack([torch.rand(shape, generator=g) for g in generators]) * 2 - 1
    else:
        # A direction from the Gaussian, a radius from the volume law r^(1/dimension).
        noise = torch.stack([torch.randn(shape, generator=g) for g in generators])
        radius = torch.stack([torch.rand((), generator=g) for g in generators])
        radius = radius ** (1 / shape.numel()) / noise.flatten(1).norm(dim=1)
        noise = noise * radius[:, None, None, None]
    return (x + eps * noise.to(x)).clamp(0, 1)


def random_signs(x: Tensor, eps: float, norm: str, generators: list[torch.Generator]) -> Tensor:
    """A random corner direction at distance eps from each image, clipped to [0, 1]."""
    signs = torch.stack(
        [torch.randint(0, 2, x.shape[1:], generator=g).float() * 2 - 1 for g in generators]
    )
    scale = eps if norm == "linf" else eps / x[0].numel() ** 0.5
    return (x + scale * signs.to(x)).clamp(0, 1)
