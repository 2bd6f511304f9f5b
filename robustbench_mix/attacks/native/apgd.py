"""APGD: projected gradient descent that chooses its own step size.

Croce & Hein, arXiv 2003.01690, algorithm 1, with the defaults of AutoAttack. The step of an
image halves at a checkpoint when too few of the steps since the last one raised the loss,
or when neither the step nor the best loss has moved; the image then goes back to its best
point. An image leaves the batch as soon as it is broken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from robustbench_mix.attacks.base import Batch
from robustbench_mix.attacks.counted_model import CountedModel, gradient_of
from robustbench_mix.attacks.native.geometry import into_ball, steepest, unit, wide
from robustbench_mix.attacks.native.tracker import Tracker
from robustbench_mix.attacks.random import normal, uniform

RHO = 0.75
MOMENTUM = 0.75
# Logits (B, classes), labels (B,) and target classes (B,) to one value per image, (B,).
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class _Ascent:
    """The search state of each image of a packed batch; the first dimension is the batch."""

    x: Tensor
    y: Tensor
    target: Tensor
    point: Tensor
    before: Tensor
    grad: Tensor
    logits: Tensor
    eps: Tensor
    step: Tensor
    best: Tensor
    best_grad: Tensor
    best_loss: Tensor
    last_loss: Tensor
    rises: Tensor
    checked_loss: Tensor
    halved: Tensor

    def keep(self, which: Tensor) -> _Ascent:
        """Return the state of some of the images."""
        return replace(self, **{f.name: getattr(self, f.name)[which] for f in fields(self)})


def untargeted(loss: Callable[[Tensor, Tensor], Tensor]) -> Loss:
    """Turn a loss of logits and labels into one that ignores the target class."""
    return lambda logits, y, _: loss(logits, y)


def apgd(
    model: CountedModel,
    batch: Batch,
    loss: Loss,
    target: Tensor | None = None,
    *,
    steps: int = 100,
    early_stop: bool = True,
    copies: int = 1,
) -> Tensor:
    """Ascend the loss from a random point of the ball's surface.

    Images that come close to the boundary on a coarse model are attacked again on its judge.

    Args:
        model: The model.
        batch: The images; each has its own radius, so that one batch can serve a whole curve.
        loss: The loss to maximise.
        target: Target class of each image, (B,) int64; None for an untargeted loss.
        steps: Number of steps.
        early_stop: Whether an image leaves the batch once it is broken.
        copies: Number of consecutive entries that are copies of one image; they all leave with
            the first that is broken.

    Returns:
        Perturbed images (B, C, H, W): the iterate that broke an image, or the image itself.
    """
    target = batch.y if target is None else target
    found, near = _run(
        model, batch, loss, target, steps=steps, early_stop=early_stop, copies=copies
    )
    if model.judge is not None and bool(near.any()):
        exact, again = model.take_judge(near), batch.take(near)
        found[near], _ = _run(exact, again, loss, target[near], steps=steps, early_stop=early_stop)
    return found


def _run(
    model: CountedModel,
    batch: Batch,
    loss: Loss,
    target: Tensor,
    *,
    steps: int,
    early_stop: bool,
    copies: int = 1,
) -> tuple[Tensor, Tensor]:
    """Run once; return the points that broke the images, else x, and the near misses (B,) bool."""
    tracker = Tracker(model, batch.x, batch.y, early_stop=early_stop, copies=copies)
    ascent = _pack(tracker, _start(model, batch, loss, target))
    window = max(int(0.22 * steps), 1)
    shortest, shrink = max(int(0.06 * steps), 1), max(int(0.03 * steps), 1)
    since = 0
    for iteration in range(steps):
        if len(ascent.x) == 0:
            break
        ascent = _move(ascent, batch.norm, momentum=MOMENTUM if iteration else 1.0)
        ascent = _look(tracker.model, ascent, loss)
        ascent = _pack(tracker, ascent, last=iteration == steps - 1)
        since += 1
        if since == window:
            ascent = _check(ascent, window)
            window, since = max(window - shrink, shortest), 0
    return tracker.found, tracker.near


def _start(model: CountedModel, batch: Batch, loss: Loss, target: Tensor) -> _Ascent:
    x, y, eps, seeds, norm = batch.x, batch.y, batch.radius, batch.seeds, batch.norm
    count = x[0].numel()
    draw = 2 * uniform(seeds, 0, count) - 1 if norm == "linf" else normal(seeds, 0, count)
    point = (x + wide(eps) * unit(draw.view_as(x).to(x), norm)).clamp(0, 1)
    value, grad, logits = _evaluate(model, point, y, target, loss)
    zero = torch.zeros_like(value)
    return _Ascent(
        x=x,
        y=y,
        target=target,
        point=point,
        before=point,
        grad=grad,
        logits=logits,
        eps=eps,
        step=2 * eps,
        best=point,
        best_grad=grad,
        best_loss=value,
        last_loss=zero,
        rises=zero,
        checked_loss=value,
        halved=torch.ones_like(value, dtype=torch.bool),
    )


def _pack(tracker: Tracker, ascent: _Ascent, *, last: bool = False) -> _Ascent:
    """Drop the broken images from the state."""
    keep = tracker.update(ascent.point, ascent.logits, last=last)
    return ascent if keep is None else ascent.keep(keep)


def _move(ascent: _Ascent, norm: str, momentum: float) -> _Ascent:
    """Take one gradient step with momentum; project before and after adding the momentum."""
    direction = steepest(ascent.grad, norm)
    ahead = into_ball(ascent.point + wide(ascent.step) * direction, ascent.x, ascent.eps, norm)
    mixed = (
        ascent.point
        + momentum * (ahead - ascent.point)
        + (1 - momentum) * (ascent.point - ascent.before)
    )
    return replace(ascent, point=into_ball(mixed, ascent.x, ascent.eps, norm), before=ascent.point)


def _look(model: CountedModel, ascent: _Ascent, loss: Loss) -> _Ascent:
    """Evaluate the new points, count rises of the loss, and remember the best point."""
    value, grad, logits = _evaluate(model, ascent.point, ascent.y, ascent.target, loss)
    better = value > ascent.best_loss
    mask = wide(better)
    return replace(
        ascent,
        grad=grad,
        logits=logits,
        rises=ascent.rises + (value > ascent.last_loss),
        last_loss=value,
        best=torch.where(mask, ascent.point, ascent.best),
        best_grad=torch.where(mask, grad, ascent.best_grad),
        best_loss=torch.where(better, value, ascent.best_loss),
    )


def _check(ascent: _Ascent, window: int) -> _Ascent:
    """Halve the step of images that stalled since the last checkpoint and send them back."""
    stalled = (ascent.rises <= RHO * window) | (
        ~ascent.halved & (ascent.checked_loss >= ascent.best_loss)
    )
    mask = wide(stalled)
    return replace(
        ascent,
        step=torch.where(stalled, ascent.step / 2, ascent.step),
        point=torch.where(mask, ascent.best, ascent.point),
        grad=torch.where(mask, ascent.best_grad, ascent.grad),
        checked_loss=ascent.best_loss,
        halved=stalled,
        rises=torch.zeros_like(ascent.rises),
    )


def _evaluate(
    model: CountedModel, point: Tensor, y: Tensor, target: Tensor, loss: Loss
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the loss, its input gradient, and the logits."""
    point = point.detach().requires_grad_()
    with torch.enable_grad():
        logits = model(point)
        value = loss(logits, y, target)
        grad = gradient_of(value.sum(), point)
    return value.detach(), grad, logits.detach()
