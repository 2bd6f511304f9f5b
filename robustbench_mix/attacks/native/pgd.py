"""Projected gradient ascent with fixed steps, a radius per image and an early stop.

Madry et al., arXiv 1706.06083: the same steps as foolbox's PGD, but an image leaves the
batch at its first misclassified iterate.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from robustbench_mix.attacks.base import Target
from robustbench_mix.attacks.native.apgd import into_ball, steepest, wide
from robustbench_mix.attacks.native.tracker import Watch
from robustbench_mix.attacks.random import normal, uniform


def ascend(
    target: Target,
    x: Tensor,
    y: Tensor,
    seeds: Tensor,
    *,
    eps: Tensor,
    norm: str,
    steps: int,
    step_size: float,
    random_start: bool,
    early_stop: bool = True,
) -> Tensor:
    """Ascend the cross-entropy by `step_size` (a share of eps) per step.

    x (B, C, H, W), y, seeds, eps (B,). What comes close to the boundary on a coarse network
    walks again on the exact one. Returns the iterate that broke an image, or its last point,
    which nobody has looked at.
    """
    start = _start(x, seeds, eps, norm) if random_start else x.clone()
    how: dict[str, Any] = {"norm": norm, "steps": steps, "step_size": step_size}
    found, near = _walk(target, x, y, start, eps, early_stop=early_stop, **how)
    if target.judge is not None and bool(near.any()):
        again = (t[near] for t in (x, y, start, eps))
        found[near], _ = _walk(target.exact(near), *again, early_stop=early_stop, **how)
    return found


def _walk(
    target: Target,
    x: Tensor,
    y: Tensor,
    point: Tensor,
    eps: Tensor,
    *,
    norm: str,
    steps: int,
    step_size: float,
    early_stop: bool,
) -> tuple[Tensor, Tensor]:
    """One run from `point`: where each image ended, and which came close without breaking."""
    watch = Watch(target, x, y, early_stop=early_stop)
    for _ in range(steps):
        with torch.enable_grad():
            point = point.detach().requires_grad_()
            logits = watch.target(point)
            loss = F.cross_entropy(logits, y, reduction="sum")
            (grad,) = torch.autograd.grad(loss, point)
        point = point.detach()
        keep = watch.see(point, logits)
        if keep is not None:
            x, y, eps, point, grad = (t[keep] for t in (x, y, eps, point, grad))
            if len(x) == 0:
                break
        point = into_ball(point + wide(step_size * eps) * steepest(grad, norm), x, eps, norm)
    watch.found[watch.row] = point
    return watch.found, watch.near


def first_direction(target: Target, x: Tensor, y: Tensor, norm: str) -> Tensor:
    """The direction of length one that raises the cross-entropy at the images fastest: FGSM's."""
    with torch.enable_grad():
        point = x.detach().clone().requires_grad_()
        loss = F.cross_entropy(target(point), y, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, point)
    return steepest(gradient, norm)


def _start(x: Tensor, seeds: Tensor, eps: Tensor, norm: str) -> Tensor:
    """A point drawn uniformly from each image's ball, clipped to the box."""
    count = x[0].numel()
    if norm == "linf":
        noise = 2 * uniform(seeds, 0, count) - 1
    else:
        noise = normal(seeds, 0, count)
        radius = uniform(seeds, 1, 1) ** (1 / count)
        noise = noise / noise.norm(dim=1, keepdim=True) * radius
    return (x + wide(eps) * noise.view_as(x).to(x)).clamp(0, 1)
