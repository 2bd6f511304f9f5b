"""APGD: projected gradient descent that chooses its own step size.

Croce & Hein, arXiv 2003.01690, algorithm 1, with the defaults of AutoAttack. The step of an
image halves at a checkpoint when too few of the steps since the last one raised the loss,
or when neither the step nor the best loss has moved; the image then goes back to its best
point. An image leaves the batch as soon as it is broken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from robustbench_mix.attacks.base import Target
from robustbench_mix.attacks.native.tracker import Watch
from robustbench_mix.attacks.random import normal, uniform

RHO = 0.75
MOMENTUM = 0.75
Objective = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Walk:
    """Where each image of a packed batch stands; every tensor leads with the batch."""

    x: Tensor
    y: Tensor
    aim: Tensor
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

    def keep(self, which: Tensor) -> Walk:
        """The same for some of the images."""
        return replace(self, **{f.name: getattr(self, f.name)[which] for f in fields(self)})


def apgd(
    target: Target,
    x: Tensor,
    y: Tensor,
    loss: Objective,
    aim: Tensor,
    seeds: Tensor,
    *,
    eps: Tensor,
    norm: str,
    steps: int = 100,
    early_stop: bool = True,
    copies: int = 1,
) -> Tensor:
    """Ascend `loss(logits, y, aim)` from a random point of the ball's surface.

    `eps` (B,) is each image's own radius, so that one batch can serve a whole curve. Each
    `copies` in a row are of one image, which the first that is broken settles. What comes
    close to the boundary on a coarse network walks again on the exact one.
    Returns x_adv (B, C, H, W): the iterate that broke an image, or x.
    """
    options: dict[str, Any] = {"norm": norm, "steps": steps, "early_stop": early_stop}
    found, near = _walk(target, x, y, loss, aim, seeds, eps, copies=copies, **options)
    if target.judge is not None and bool(near.any()):
        again = (t[near] for t in (x, y, aim, seeds, eps))
        x, y, aim, seeds, eps = again
        found[near], _ = _walk(target.exact(near), x, y, loss, aim, seeds, eps, **options)
    return found


def _walk(
    target: Target,
    x: Tensor,
    y: Tensor,
    loss: Objective,
    aim: Tensor,
    seeds: Tensor,
    eps: Tensor,
    *,
    norm: str,
    steps: int,
    early_stop: bool,
    copies: int = 1,
) -> tuple[Tensor, Tensor]:
    """One run: what broke each image, else x, and which came close without, (B,) bool."""
    watch = Watch(target, x, y, early_stop=early_stop, copies=copies)
    walk = _pack(watch, _start(target, x, y, aim, loss, seeds, eps, norm))
    window = max(int(0.22 * steps), 1)
    shortest, shrink = max(int(0.06 * steps), 1), max(int(0.03 * steps), 1)
    since = 0
    for iteration in range(steps):
        if len(walk.x) == 0:
            break
        walk = _move(walk, norm, momentum=MOMENTUM if iteration else 1.0)
        walk = _look(watch.target, walk, loss)
        walk = _pack(watch, walk, last=iteration == steps - 1)
        since += 1
        if since == window:
            walk = _check(walk, window)
            window, since = max(window - shrink, shortest), 0
    return watch.found, watch.near


def _start(
    target: Target,
    x: Tensor,
    y: Tensor,
    aim: Tensor,
    loss: Objective,
    seeds: Tensor,
    eps: Tensor,
    norm: str,
) -> Walk:
    count = x[0].numel()
    draw = 2 * uniform(seeds, 0, count) - 1 if norm == "linf" else normal(seeds, 0, count)
    point = (x + wide(eps) * unit(draw.view_as(x).to(x), norm)).clamp(0, 1)
    value, grad, logits = _evaluate(target, point, y, aim, loss)
    zero = torch.zeros_like(value)
    return Walk(
        x=x,
        y=y,
        aim=aim,
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


def _pack(watch: Watch, walk: Walk, *, last: bool = False) -> Walk:
    """Go on with the images that are not broken yet."""
    keep = watch.see(walk.point, walk.logits, last=last)
    return walk if keep is None else walk.keep(keep)


def _move(walk: Walk, norm: str, momentum: float) -> Walk:
    """One gradient step with momentum, projected before and after it is mixed in."""
    direction = steepest(walk.grad, norm)
    ahead = into_ball(walk.point + wide(walk.step) * direction, walk.x, walk.eps, norm)
    mixed = (
        walk.point + momentum * (ahead - walk.point) + (1 - momentum) * (walk.point - walk.before)
    )
    return replace(walk, point=into_ball(mixed, walk.x, walk.eps, norm), before=walk.point)


def _look(target: Target, walk: Walk, loss: Objective) -> Walk:
    """Evaluate the new points, count rises of the loss, and remember the best point."""
    value, grad, logits = _evaluate(target, walk.point, walk.y, walk.aim, loss)
    better = value > walk.best_loss
    mask = wide(better)
    return replace(
        walk,
        grad=grad,
        logits=logits,
        rises=walk.rises + (value > walk.last_loss),
        last_loss=value,
        best=torch.where(mask, walk.point, walk.best),
        best_grad=torch.where(mask, grad, walk.best_grad),
        best_loss=torch.where(better, value, walk.best_loss),
    )


def _check(walk: Walk, window: int) -> Walk:
    """A checkpoint: halve the step of the images that stalled and send them back."""
    stalled = (walk.rises <= RHO * window) | (~walk.halved & (walk.checked_loss >= walk.best_loss))
    mask = wide(stalled)
    return replace(
        walk,
        step=torch.where(stalled, walk.step / 2, walk.step),
        point=torch.where(mask, walk.best, walk.point),
        grad=torch.where(mask, walk.best_grad, walk.grad),
        checked_loss=walk.best_loss,
        halved=stalled,
        rises=torch.zeros_like(walk.rises),
    )


def _evaluate(
    target: Target, point: Tensor, y: Tensor, aim: Tensor, loss: Objective
) -> tuple[Tensor, Tensor, Tensor]:
    """Loss, its input gradient, and the logits."""
    point = point.detach().requires_grad_()
    with torch.enable_grad():
        logits = target(point)
        value = loss(logits, y, aim)
        (grad,) = torch.autograd.grad(value.sum(), point)
    return value.detach(), grad, logits.detach()


def into_ball(point: Tensor, x: Tensor, eps: Tensor, norm: str) -> Tensor:
    """Project into the ball, then clip to the box; rounding is the harness's affair."""
    delta = point - x
    if norm == "linf":
        reach = wide(eps)
        return (x + delta.clamp(-reach, reach)).clamp(0, 1)
    length = delta.flatten(1).norm(dim=1)
    factor = torch.minimum(length, eps) / (length + 1e-12)
    return (x + delta * wide(factor)).clamp(0, 1)


def steepest(grad: Tensor, norm: str) -> Tensor:
    """The direction of length one in which the loss rises fastest."""
    return grad.sign() if norm == "linf" else unit(grad, norm)


def unit(delta: Tensor, norm: str) -> Tensor:
    """Each image's tensor at length one."""
    flat = delta.flatten(1)
    length = flat.abs().amax(1) if norm == "linf" else flat.norm(dim=1)
    return delta / wide(length + 1e-12)


def wide(values: Tensor) -> Tensor:
    """One value per image, shaped to meet images: (B,) -> (B, 1, 1, 1)."""
    return values[:, None, None, None]
