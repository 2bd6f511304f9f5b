"""Projected gradient ascent with fixed steps, a radius per image and an early stop.

Madry et al., arXiv 1706.06083: the same steps as foolbox's PGD, but an image leaves the
batch at its first misclassified iterate.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from robustbench_mix.algorithms.apgd import into_ball, steepest, wide
from robustbench_mix.algorithms.attack import Target
from robustbench_mix.draws import normal, uniform


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

    x (B, C, H, W), y, seeds, eps (B,). Returns the first misclassified iterate of an
    image, or its last point.
    """
    result = _start(x, seeds, eps, norm) if random_start else x.clone()
    row = torch.arange(len(x), device=x.device)
    point = result.clone()
    for _ in range(steps):
        with torch.enable_grad():
            point = point.detach().requires_grad_()
            logits = target(point)
            loss = F.cross_entropy(logits, y, reduction="sum")
            (grad,) = torch.autograd.grad(loss, point)
        point = point.detach()
        broken = logits.detach().argmax(1) != y
        if early_stop and bool(broken.any()):
            result[row[broken]] = point[broken]
            row, x, y, eps, point, grad = (t[~broken] for t in (row, x, y, eps, point, grad))
        if len(row) == 0:
            return result
        point = into_ball(point + wide(step_size * eps) * steepest(grad, norm), x, eps, norm)
    result[row] = point
    return result


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
