"""Norm balls around images: distances, random points and exact projection.

Images are (B, C, H, W) floats in [0, 1]; norms are per image, measured in float64.
"""

from __future__ import annotations

import torch
from torch import Tensor


def distance(x_adv: Tensor, x: Tensor, norm: str) -> Tensor:
    """Return the norm of each image's perturbation.

    Args:
        x_adv: Perturbed images, (B, C, H, W).
        x: The images, (B, C, H, W).
        norm: `linf`, `l2` or `l1`.

    Returns:
        The norms in pixel units, (B,) float64.
    """
    return _length((_double(x_adv) - _double(x)).flatten(1), norm)


def project(x_adv: Tensor, x: Tensor, eps: float | Tensor, norm: str) -> Tensor:
    """Project perturbed images onto the ball around each image and the box [0, 1].

    The projection is exact in floating point: `distance` of the result never exceeds eps, not even
    by one unit in the last place. A point that is already inside is returned bit for bit; a NaN is
    replaced by the pixel of x. The point is clipped to the box first. Projecting it onto the ball
    afterwards stays in the box, because x lies in it.

    Args:
        x_adv: Perturbed images, (B, C, H, W).
        x: The images, (B, C, H, W) in [0, 1].
        eps: One radius in pixel units, or one per image, (B,) float64.
        norm: `linf`, `l2` or `l1`.
    """
    if x.device.type == "mps":  # no double precision there
        eps = eps.cpu() if isinstance(eps, Tensor) else eps
        return project(x_adv.cpu(), x.cpu(), eps, norm).to(x.device)
    x_adv = torch.where(x_adv.isnan(), x, x_adv).clamp(0, 1)
    reach = torch.as_tensor(eps, dtype=torch.float64, device=x.device).reshape(-1, 1, 1, 1)
    delta = x_adv.double() - x.double()
    if norm == "linf":
        wanted = delta.clamp(-reach, reach)
    else:
        length = _length(delta.flatten(1), norm)[:, None, None, None]
        # Slightly inside, so that rounding in float64 cannot put the norm above eps.
        inside = (1 - 1e-12) * reach
        shorter = delta * inside / length if norm == "l2" else _shrink(delta, inside)
        wanted = torch.where(length <= reach, delta, shorter)
    near = (x.double() + wanted).to(x.dtype)
    # Rounding to x.dtype may step outward by half a unit: one unit back towards x.
    outward = (near.double() - x.double()).abs() > wanted.abs()
    return torch.where(wanted == delta, x_adv, torch.where(outward, near.nextafter(x), near))


def _length(flat: Tensor, norm: str) -> Tensor:
    """Return the norm of each row, (B,)."""
    return flat.abs().amax(1) if norm == "linf" else flat.norm(p=1 if norm == "l1" else 2, dim=1)


def _shrink(delta: Tensor, reach: Tensor) -> Tensor:
    """Return the nearest perturbations of l1 norm `reach`: all pixels move by as much towards 0.

    Source: Duchi et al., Efficient Projections onto the l1-Ball, ICML 2008.
    """
    size = delta.abs().flatten(1)
    ordered = size.sort(dim=1, descending=True).values
    excess = ordered.cumsum(1) - reach.flatten(1)
    by = excess / torch.arange(1, size.shape[1] + 1, device=size.device)
    # The last position whose pixel is larger than what all up to it must lose.
    last = (ordered > by).sum(1, keepdim=True) - 1
    lost = by.gather(1, last.clamp_min(0)).clamp_min(0)
    return delta.sign() * (size - lost).clamp_min(0).view_as(delta)


def _double(x: Tensor) -> Tensor:
    return x.cpu().double() if x.device.type == "mps" else x.double()


def random_point(x: Tensor, eps: float, norm: str, generators: list[torch.Generator]) -> Tensor:
    """Draw a point uniformly from the ball around each image, and clip it to [0, 1].

    Args:
        x: Images, (B, C, H, W).
        eps: Radius of the balls, in pixel units.
        norm: `linf` or `l2`.
        generators: One per image, on the CPU. An image uses its own only, so that its point does
            not depend on the batch it sits in.
    """
    shape = x.shape[1:]
    if norm == "linf":
        noise = torch.stack([torch.rand(shape, generator=g) for g in generators]) * 2 - 1
    else:
        # The direction is Gaussian; the radius follows the volume law r^(1/dimension).
        noise = torch.stack([torch.randn(shape, generator=g) for g in generators])
        radius = torch.stack([torch.rand((), generator=g) for g in generators])
        radius = radius ** (1 / shape.numel()) / noise.flatten(1).norm(dim=1)
        noise = noise * radius[:, None, None, None]
    return (x + eps * noise.to(x)).clamp(0, 1)


def random_signs(x: Tensor, eps: float, norm: str, generators: list[torch.Generator]) -> Tensor:
    """Move each image by eps along random signs, and clip it to [0, 1].

    Args:
        x: Images, (B, C, H, W).
        eps: Radius of the balls, in pixel units.
        norm: `linf` or `l2`.
        generators: One per image, on the CPU.
    """
    signs = torch.stack(
        [torch.randint(0, 2, x.shape[1:], generator=g).float() * 2 - 1 for g in generators]
    )
    scale = eps if norm == "linf" else eps / x[0].numel() ** 0.5
    return (x + scale * signs.to(x)).clamp(0, 1)
