"""PGD: projected gradient ascent with fixed steps, a radius per image and an early stop.

The steps are those of foolbox's PGD, but an image leaves the batch at its first misclassified
iterate.

Source: Madry et al., arXiv 1706.06083.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from robustbench_mix.attacks.base import Batch, Stage, constant_passes
from robustbench_mix.attacks.counted_model import CountedModel, gradient_of
from robustbench_mix.attacks.native.geometry import into_ball, steepest, wide
from robustbench_mix.attacks.native.tracker import Tracker
from robustbench_mix.attacks.options import check_pgd
from robustbench_mix.attacks.passes import Count
from robustbench_mix.attacks.random import normal, uniform


def pgd_stages(
    classes: int,
    *,
    steps: int = 40,
    restarts: int = 5,
    step_size: float = 0.1,
    early_stop: bool = True,
) -> list[Stage]:
    """Return one stage per restart; the first starts at the image, the others at random.

    Args:
        classes: Number of classes of the model; any will do.
        steps: Steps of each restart.
        restarts: Number of restarts.
        step_size: Length of a step, as a share of eps.
        early_stop: Whether an image leaves the batch once it is broken.
    """
    check_pgd(steps, restarts, step_size)
    return [
        Stage(
            f"pgd-{number}",
            partial(
                pgd,
                steps=steps,
                step_size=step_size,
                random_start=number > 0,
                early_stop=early_stop,
            ),
            passes=constant_passes(Count(steps, steps)),
            counts_per_image=True,
        )
        for number in range(restarts)
    ]


def pgd(
    model: CountedModel,
    batch: Batch,
    *,
    steps: int,
    step_size: float,
    random_start: bool,
    early_stop: bool = True,
) -> Tensor:
    """Ascend the cross-entropy.

    Images that come close to the boundary on a coarse model are attacked again on its judge.

    Args:
        model: The model.
        batch: The images.
        steps: Number of steps.
        step_size: Length of a step, as a share of eps.
        random_start: Whether to start at a random point of the ball instead of the image.
        early_stop: Whether an image leaves the batch once it is broken.

    Returns:
        Perturbed images (B, C, H, W): the iterate that broke an image, or its last point, which
        the model has not seen.
    """
    start = _start(batch) if random_start else batch.x.clone()
    found, near = _run(model, batch, start, steps, step_size, early_stop=early_stop)
    if model.judge is not None and bool(near.any()):
        exact, again = model.take_judge(near), batch.take(near)
        found[near], _ = _run(exact, again, start[near], steps, step_size, early_stop=early_stop)
    return found


def _run(
    model: CountedModel,
    batch: Batch,
    point: Tensor,
    steps: int,
    step_size: float,
    *,
    early_stop: bool,
) -> tuple[Tensor, Tensor]:
    """Run once from `point`; return each image's end and which were near misses, (B,) bool."""
    x, y, eps = batch.x, batch.y, batch.radius
    tracker = Tracker(model, x, y, early_stop=early_stop)
    for _ in range(steps):
        with torch.enable_grad():
            point = point.detach().requires_grad_()
            logits = tracker.model(point)
            loss = F.cross_entropy(logits, y, reduction="sum")
            grad = gradient_of(loss, point)
        point = point.detach()
        keep = tracker.update(point, logits)
        if keep is not None:
            x, y, eps, point, grad = (t[keep] for t in (x, y, eps, point, grad))
            if len(x) == 0:
                break
        direction = steepest(grad, batch.norm)
        point = into_ball(point + wide(step_size * eps) * direction, x, eps, batch.norm)
    tracker.found[tracker.row] = point
    return tracker.found, tracker.near


def _start(batch: Batch) -> Tensor:
    """Draw a point uniformly from each image's ball, clipped to the box."""
    x, seeds = batch.x, batch.seeds
    count = x[0].numel()
    if batch.norm == "linf":
        noise = 2 * uniform(seeds, 0, count) - 1
    else:
        noise = normal(seeds, 0, count)
        radius = uniform(seeds, 1, 1) ** (1 / count)
        noise = noise / noise.norm(dim=1, keepdim=True) * radius
    return (x + wide(batch.radius) * noise.view_as(x).to(x)).clamp(0, 1)
