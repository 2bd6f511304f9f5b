"""FAB: walk along the decision boundary towards the image, for a minimal perturbation.

With the defaults of AutoAttack. Each step linearises the boundary to one class, the target or the
nearest one, projects both the point and the image onto it within the box, and moves to a mixture
of the two.

Source: Croce & Hein, arXiv 1907.02044.
"""

from __future__ import annotations

import torch
from torch import Tensor

from robustbench_mix.attacks import random
from robustbench_mix.attacks.base import Batch
from robustbench_mix.attacks.counted_model import CountedModel, gradient_of
from robustbench_mix.attacks.losses import pick
from robustbench_mix.attacks.native.geometry import unit, wide
from robustbench_mix.attacks.native.tracker import Tracker

ALPHA_MAX = 0.1  # largest weight of the image's own projection
ETA = 1.05  # overshoot
BETA = 0.9  # step back towards the image after a success
# A coarse model that finds a point within this multiple of eps is as close as bfloat16 gets: of the
# networks in the tests, it ends within 5 % of the exact distance for 19 of 20 images.
NEAR = 1.1
ROUNDS = 20  # maximum number of rounds of Newton's method
SLACK = 1e-6  # share of the gap that may remain


@torch.no_grad()
def fab(
    model: CountedModel,
    batch: Batch,
    target: Tensor | None,
    *,
    steps: int = 100,
    random_start: bool = False,
    early_stop: bool = True,
    copies: int = 1,
) -> Tensor:
    """Search along the boundary of a class for a point within eps that breaks the image.

    Images that a coarse model nearly breaks within eps are attacked again on its judge.

    Args:
        model: The model.
        batch: The images.
        target: Target class of each image, (B,) int64; None for the class whose boundary is
            nearest, at each step anew.
        steps: Number of steps.
        random_start: Whether to begin half of eps away from the image, in a random direction.
        early_stop: Whether an image leaves the batch once it is broken.
        copies: Number of consecutive entries that are copies of one image; they all leave with
            the first that is broken.

    Returns:
        Perturbed images (B, C, H, W): the point that broke an image, or the image itself.
    """
    found, near = _run(
        model, batch, target, steps, random_start=random_start, early_stop=early_stop, copies=copies
    )
    if model.judge is not None and bool(near.any()):
        exact, again = model.take_judge(near), batch.take(near)
        target = None if target is None else target[near]
        found[near], _ = _run(
            exact, again, target, steps, random_start=random_start, early_stop=early_stop
        )
    return found


def _run(
    model: CountedModel,
    batch: Batch,
    target: Tensor | None,
    steps: int,
    *,
    random_start: bool,
    early_stop: bool,
    copies: int = 1,
) -> tuple[Tensor, Tensor]:
    """Run once; return the points that broke the images, else x, and the near misses (B,) bool."""
    x, y, eps, norm = batch.x, batch.y, batch.radius, batch.norm
    tracker = Tracker(model, x, y, early_stop=early_stop, copies=copies)
    closest = torch.full_like(eps, torch.inf)
    point = _start(batch) if random_start else x.clone()
    for step in range(steps):
        if target is None:
            gap, normal = _nearest_boundary(tracker.model, point, y, norm)
        else:
            gap, normal = _boundary(tracker.model, point, y, target)
        flat, origin = point.flatten(1), x.flatten(1)
        offset = (normal * flat).sum(1) - gap
        there = onto_hyperplane(flat, normal, offset, norm)
        home = onto_hyperplane(origin, normal, offset, norm)
        length, home_length = _norm(there, norm), _norm(home, norm)
        alpha = (length / (length + home_length)).clamp(0, ALPHA_MAX)[:, None]
        mixed = (1 - alpha) * (flat + ETA * there) + alpha * (origin + ETA * home)
        point = mixed.clamp(0, 1).view_as(x)
        logits = tracker.model(point)
        broken = logits.argmax(1) != y
        distance = _norm((point - x).flatten(1), norm)
        found = torch.where(broken, distance, torch.inf)
        closest[tracker.row] = torch.minimum(closest[tracker.row], found)
        keep = tracker.update(point, logits, distance <= eps * (1 + 1e-6), last=step == steps - 1)
        point = torch.where(broken[:, None, None, None], x + BETA * (point - x), point)
        if keep is not None:
            x, y, eps, point = (t[keep] for t in (x, y, eps, point))
            target = None if target is None else target[keep]
            if len(x) == 0:
                break
    near = tracker.near | (tracker.standing & (closest <= NEAR * batch.radius))
    return tracker.found, near


def onto_hyperplane(point: Tensor, normal: Tensor, offset: Tensor, norm: str) -> Tensor:
    """Return the smallest step from each point onto {z : normal . z = offset} within the box.

    Every coordinate moves towards the plane until it meets the box, by at most t (linf) or t times
    its weight (l2). The total gain is a concave, piecewise linear function of t, so Newton's method
    from zero finds the t that closes the gap, mostly after a few rounds. If the box does not reach
    the plane, the step goes to the corner.

    Args:
        point: Points in the box [0, 1], (B, D).
        normal: Normals of the hyperplanes, (B, D).
        offset: Their offsets, (B,).
        norm: The norm in which the step is smallest, `linf` or `l2`.

    Returns:
        The steps, (B, D).
    """
    gap = offset - (normal * point).sum(1)
    towards = normal * torch.where(gap >= 0, 1.0, -1.0)[:, None]
    weight = normal.abs()
    room = torch.where(towards > 0, 1 - point, point) * (weight > 0)
    pace = torch.ones_like(weight) if norm == "linf" else weight
    gap = gap.abs()
    t = torch.zeros_like(gap)
    for _ in range(ROUNDS):
        move = torch.minimum(room, t[:, None] * pace)
        missing = gap - (weight * move).sum(1)
        rate = (weight * pace * (move < room)).sum(1)
        t = torch.where(missing > 0, t + missing / rate, t)
        # Only where the host need not wait for the device.
        if t.device.type == "cpu" and not bool((missing > SLACK * gap).any()):
            break
    return towards.sign() * torch.minimum(room, (t[:, None] * pace).nan_to_num(torch.inf))


def _boundary(
    model: CountedModel, point: Tensor, y: Tensor, target: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the target's logit minus the label's, (B,), and its gradient, (B, D)."""
    point = point.detach().requires_grad_()
    with torch.enable_grad():
        logits = model(point)
        gap = pick(logits, target) - pick(logits, y)
        gradient = gradient_of(gap.sum(), point)
    return gap.detach(), gradient.flatten(1)


def _nearest_boundary(
    model: CountedModel, point: Tensor, y: Tensor, norm: str
) -> tuple[Tensor, Tensor]:
    """Return what `_boundary` does, for the class whose boundary is nearest to first order."""
    point = point.detach().requires_grad_()
    with torch.enable_grad():
        logits = model(point)
        gradients = torch.stack(
            [
                gradient_of(logit.sum(), point, keep_graph=True).flatten(1)
                for logit in logits.unbind(1)
            ],
            dim=1,
        )
    rows = torch.arange(len(y), device=y.device)
    gaps = logits.detach() - pick(logits.detach(), y)[:, None]
    normals = gradients - gradients[rows, y][:, None]
    dual = normals.abs().sum(2) if norm == "linf" else normals.norm(dim=2)
    away = (gaps.abs() / (dual + 1e-12)).scatter(1, y[:, None], torch.inf)
    nearest = away.argmin(1)
    return gaps[rows, nearest], normals[rows, nearest]


def _start(batch: Batch) -> Tensor:
    """Return points half of eps away from the images, in random directions, within the box."""
    count, norm = batch.x[0].numel(), batch.norm
    draw = 2 * random.uniform(batch.seeds, 0, count) - 1
    if norm != "linf":
        draw = random.normal(batch.seeds, 0, count)
    direction = unit(draw.view_as(batch.x).to(batch.x), norm)
    return (batch.x + wide(batch.radius) / 2 * direction).clamp(0, 1)


def _norm(flat: Tensor, norm: str) -> Tensor:
    length = flat.abs().amax(1) if norm == "linf" else flat.norm(dim=1)
    return length.clamp_min(1e-8)
