"""A cheap first pass: break what is easy, and say how close all other images came.

In the spirit of Adaptive Auto Attack: the passes go where they still can break something. A linear
model of the network at the image ranks the classes to head for, by how far they can be reached
within the ball. A short descent heads for the best of them. Images that come no closer to the
boundary are given up. The others meet more classes and more steps.

No image learns from another, because an outcome must not depend on the batch.

Source: Liu, Cheng, Gao, Liu, Zhang & Song, CVPR 2022.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from robustbench_mix.attacks import losses
from robustbench_mix.attacks.base import Batch, PassEstimate, constant_passes
from robustbench_mix.attacks.counted_model import CountedModel, gradient_of
from robustbench_mix.attacks.native.apgd import MOMENTUM
from robustbench_mix.attacks.native.geometry import into_ball, steepest, wide
from robustbench_mix.attacks.native.targeted import split_rows
from robustbench_mix.attacks.native.tracker import Tracker
from robustbench_mix.attacks.passes import Count
from robustbench_mix.attacks.random import derive, uniform


class Round(NamedTuple):
    """One round of descents.

    Args:
        targets: Number of classes that each image heads for.
        steps: Number of steps towards each.
        hope: Images whose margin stays above this share of their clean margin are given up.
        share: About the share of standing images that meet this round, for the estimate.
    """

    targets: int
    steps: int
    hope: float
    share: float


ROUNDS = (Round(3, 4, 0.35, 1.0), Round(4, 12, 0.12, 0.5), Round(5, 50, 0.0, 0.15))
FIRST_STEP = 2.0  # length of the first step, in radii; the steps fall to 0 along a cosine


def expected_passes(targets: int) -> PassEstimate:
    """Estimate the passes of an image that withstands the first pass.

    Args:
        targets: Number of classes that are ranked.
    """
    descents = sum(one.share * min(one.targets, targets) * (one.steps + 1) for one in ROUNDS)
    return constant_passes(Count(1 + targets + descents, targets + descents))


def first_pass(
    model: CountedModel, batch: Batch, *, targets: int, early_stop: bool = True
) -> Tensor:
    """Head for the classes that a linear model finds nearest, longer where it comes close.

    Args:
        model: The model. The last round is run on its judge, if it has one.
        batch: The images.
        targets: Number of classes that are ranked: the likeliest others.
        early_stop: Whether images leave once they are broken or hopeless.

    Returns:
        Perturbed images (B, C, H, W): a point that broke an image, or else the point that came
        closest to the boundary.
    """
    clean, order = _rank(model, batch, targets)
    point, lowest = batch.x.clone(), clean.clone()
    left = torch.arange(len(batch), device=batch.x.device)
    for number, one in enumerate(ROUNDS):
        is_last = number == len(ROUNDS) - 1
        found = []
        for rows in split_rows(left, model.capacity, min(one.targets, targets)):
            searched = model.take(rows)
            if is_last and model.judge is not None:
                searched = model.take_judge(rows)
            seeds = derive(batch.seeds[rows], number) if number else None
            came, value, is_broken = _descend(
                searched, batch.take(rows), order[rows, : one.targets], one.steps, seeds,
                early_stop=early_stop,
            )  # fmt: skip
            closer = is_broken | (value < lowest[rows])
            point[rows] = torch.where(wide(closer), came, point[rows])
            lowest[rows] = torch.where(closer, value, lowest[rows])
            found.append(is_broken)
        if early_stop:
            left = left[~torch.cat(found) & (lowest[left] <= one.hope * clean[left])]
        if len(left) == 0:
            break
    return point


def _rank(model: CountedModel, batch: Batch, targets: int) -> tuple[Tensor, Tensor]:
    """Return the clean margins (B,), and the other classes (B, targets), the nearest first.

    A class is near if a linear model at the image gives it a low margin within the ball.
    """
    with torch.no_grad():
        logits = model(batch.x)
    others = logits.scatter(1, batch.y[:, None], -torch.inf)
    likely = others.argsort(dim=1, descending=True)[:, :targets]
    margins = []
    for rows in split_rows(
        torch.arange(len(batch), device=batch.x.device), model.capacity, targets
    ):
        copies = batch.take(rows.repeat_interleave(targets))
        gap, slope, _ = _gap(
            model.take(rows.repeat_interleave(targets)), copies.x, copies.y, likely[rows].flatten()
        )
        ahead = copies.x - wide(copies.radius) * steepest(slope, batch.norm)
        reach = into_ball(ahead, copies.x, copies.radius, batch.norm) - copies.x
        margins.append((gap + (slope * reach).flatten(1).sum(1)).view(len(rows), targets))
    order = torch.cat(margins).argsort(dim=1, stable=True)
    return losses.margin(logits, batch.y), likely.gather(1, order)


def _gap(
    model: CountedModel, point: Tensor, y: Tensor, target: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the label's logit minus the target's, (B,), its input gradient, and the logits."""
    point = point.detach().requires_grad_()
    with torch.enable_grad():
        logits = model(point)
        gap = losses.pick(logits, y) - losses.pick(logits, target)
        slope = gradient_of(gap.sum(), point)
    return gap.detach(), slope, logits.detach()


def _descend(
    model: CountedModel,
    batch: Batch,
    targets: Tensor,
    steps: int,
    seeds: Tensor | None,
    *,
    early_stop: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Descend towards several classes at once; the steps shrink along a cosine.

    Args:
        model: The model, for these images.
        batch: The images.
        targets: The classes that each image heads for, (B, targets) int64.
        steps: Number of steps.
        seeds: A seed for the start of each image, (B,) int64; None starts at the image itself.
        early_stop: Whether an image leaves once it is broken.

    Returns:
        For each image the point that broke it or came closest, its margin there, and whether it is
        broken.
    """
    count = targets.shape[1]
    row = torch.arange(len(batch), device=batch.x.device).repeat_interleave(count)
    copies = batch.take(row)
    x, y, eps, target = copies.x, copies.y, copies.radius, targets.flatten()
    tracker = Tracker(model.take(row), x, y, early_stop=early_stop, copies=count)
    closest, lowest = x.clone(), torch.full_like(eps, torch.inf)
    point = before = x if seeds is None else _start(copies, seeds[row], targets)
    for step in range(steps + 1):
        _, slope, logits = _gap(tracker.model, point, y, target)
        value, at = losses.margin(logits, y), tracker.row
        lower = value < lowest[at]
        closest[at] = torch.where(wide(lower), point, closest[at])
        lowest[at] = torch.where(lower, value, lowest[at])
        size = eps * FIRST_STEP * (1 + math.cos(math.pi * step / steps)) / 2
        ahead = into_ball(point - wide(size) * steepest(slope, batch.norm), x, eps, batch.norm)
        mixed = point + MOMENTUM * (ahead - point) + (1 - MOMENTUM) * (point - before)
        moved = into_ball(mixed, x, eps, batch.norm) if step else ahead
        keep = tracker.update(point, logits, last=step == steps)
        before, point = point, moved
        if keep is not None:
            x, y, eps, target, before, point = (t[keep] for t in (x, y, eps, target, before, point))
            if len(x) == 0:
                break
    hit = (tracker.found != copies.x).flatten(1).any(1).view(len(batch), count)
    best = torch.where(hit.any(1), hit.int().argmax(1), lowest.view(len(batch), count).argmin(1))
    chosen = torch.arange(len(batch), device=x.device) * count + best
    came = torch.where(wide(hit.any(1)), tracker.found[chosen], closest[chosen])
    return came, lowest[chosen], hit.any(1)


def _start(copies: Batch, seeds: Tensor, targets: Tensor) -> Tensor:
    """Draw a corner of the ball around each copy; in l2 a point of its surface."""
    number = torch.arange(targets.shape[1], device=seeds.device).repeat(len(targets))
    draw = 2 * uniform(derive(seeds, number), 0, copies.x[0].numel()) - 1
    direction = steepest(draw.view_as(copies.x).to(copies.x), copies.norm)
    ahead = copies.x + wide(copies.radius) * direction
    return into_ball(ahead, copies.x, copies.radius, copies.norm)
