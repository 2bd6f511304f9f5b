"""FAB: walks along the decision boundary towards the image, for a minimal perturbation.

Croce & Hein, arXiv 1907.02044, in its targeted form with the defaults of AutoAttack. Each
step linearises the boundary to one target class, projects both the point and the image
onto it within the box, and moves to a mixture of the two.
"""

from __future__ import annotations

import torch
from torch import Tensor

from robustbench_mix.algorithms.attack import Target
from robustbench_mix.algorithms.losses import pick

ALPHA_MAX = 0.1  # largest weight of the image's own projection
ETA = 1.05  # overshoot
BETA = 0.9  # step back towards the image after a success


@torch.no_grad()
def fab(
    target: Target,
    x: Tensor,
    y: Tensor,
    aim: Tensor,
    *,
    eps: Tensor,
    norm: str,
    steps: int = 100,
    early_stop: bool = True,
) -> Tensor:
    """Approach the boundary to class `aim` (B,) and keep the nearest misclassified point.

    Returns x_adv (B, C, H, W), x where nothing was found. With `early_stop` an image
    leaves the batch once it is broken within eps.
    """
    found = x.clone()
    nearest = x.new_full((len(x),), float("inf"))
    row = torch.arange(len(x), device=x.device)
    point = x.clone()
    for _ in range(steps):
        if len(row) == 0:
            break
        gap, normal = _boundary(target, point, y, aim)
        flat, origin = point.flatten(1), x.flatten(1)
        offset = (normal * flat).sum(1) - gap
        step = onto_hyperplane(flat, normal, offset, norm)
        home = onto_hyperplane(origin, normal, offset, norm)
        length, home_length = _norm(step, norm), _norm(home, norm)
        alpha = (length / (length + home_length)).clamp(0, ALPHA_MAX)[:, None]
        mixed = (1 - alpha) * (flat + ETA * step) + alpha * (origin + ETA * home)
        point = mixed.clamp(0, 1).view_as(x)
        broken = target(point).argmax(1) != y
        reach = _norm((point - x).flatten(1), norm)
        closer = broken & (reach < nearest[row])
        found[row[closer]] = point[closer]
        nearest[row[closer]] = reach[closer]
        point = torch.where(broken[:, None, None, None], x + BETA * (point - x), point)
        if early_stop:
            stands = nearest[row] > eps[row]
            if not bool(stands.all()):
                row, x, y, aim, point = (t[stands] for t in (row, x, y, aim, point))
    return found


def onto_hyperplane(point: Tensor, normal: Tensor, offset: Tensor, norm: str) -> Tensor:
    """The smallest step from each point onto {z : normal . z = offset} within the box [0, 1].

    point, normal: (B, D); offset: (B,). Every coordinate moves towards the plane until it
    meets the box, by at most t (linf) or t times its weight (l2); the total gained is a
    concave, piecewise linear function of t, so sorting its breakpoints gives the t that
    closes the gap. Where the box does not reach the plane, the step goes to the corner.
    """
    gap = offset - (normal * point).sum(1)
    towards = normal * torch.where(gap >= 0, 1.0, -1.0)[:, None]
    weight = normal.abs()
    room = torch.where(towards > 0, 1 - point, point) * (weight > 0)
    pace = torch.ones_like(weight) if norm == "linf" else weight
    breaks, order = (room / pace.clamp_min(1e-12)).sort(dim=1)
    filled = (weight * room).gather(1, order).cumsum(1)
    slope = (weight * pace).gather(1, order)
    # What coordinates from here on gain per unit of t, and what all have gained at each break.
    rate = slope.flip(1).cumsum(1).flip(1)
    before = torch.cat([filled.new_zeros(len(filled), 1), filled[:, :-1]], 1)
    gained = before + breaks * rate
    segment = torch.searchsorted(gained.contiguous(), gap.abs()[:, None])
    reachable = segment < point.shape[1]
    segment = segment.clamp(max=point.shape[1] - 1)
    t = (gap.abs()[:, None] - before.gather(1, segment)) / rate.gather(1, segment).clamp_min(1e-12)
    t = torch.where(reachable, t.clamp_min(0), torch.inf)
    return towards.sign() * torch.minimum(room, t * pace.clamp_min(1e-30))


def _boundary(target: Target, point: Tensor, y: Tensor, aim: Tensor) -> tuple[Tensor, Tensor]:
    """Logit of the aim minus logit of the label, and its gradient, (B,) and (B, D)."""
    point = point.detach().requires_grad_()
    with torch.enable_grad():
        logits = target(point)
        gap = pick(logits, aim) - pick(logits, y)
        (gradient,) = torch.autograd.grad(gap.sum(), point)
    return gap.detach(), gradient.flatten(1)


def _norm(flat: Tensor, norm: str) -> Tensor:
    length = flat.abs().amax(1) if norm == "linf" else flat.norm(dim=1)
    return length.clamp_min(1e-8)
