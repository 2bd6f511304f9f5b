"""Measure on a few images what can make a robustness number wrong.

Measured here, judged in `results/flags.py`. The failures are the classics of Carlini et al. (On
Evaluating Adversarial Robustness, arXiv 1902.06705), Athalye et al. (Obfuscated Gradients,
arXiv 1802.00420) and Tramer et al. (On Adaptive Attacks, arXiv 2002.08347). All of it costs
a few hundred passes of `SAMPLE` images.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from robustbench_mix.attacks import losses
from robustbench_mix.attacks.base import Batch
from robustbench_mix.attacks.counted_model import CountedModel, gradient_of
from robustbench_mix.attacks.native.apgd import Loss, apgd, untargeted
from robustbench_mix.attacks.native.fgsm import fgsm_direction
from robustbench_mix.attacks.native.pgd import pgd
from robustbench_mix.attacks.native.square import square
from robustbench_mix.attacks.norms import project
from robustbench_mix.attacks.passes import Count
from robustbench_mix.attacks.progress import show_passes
from robustbench_mix.attacks.random import derive, signs
from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation.measures import margins_and_gradients
from robustbench_mix.models import state_dict
from robustbench_mix.models.equality import is_in_train_mode
from robustbench_mix.results.headers import Diagnostics
from robustbench_mix.runtime.threads import tune_threads

SAMPLE = 64  # number of images to look at
PASSES = 4  # number of passes that must agree
ALONE = 8  # number of images that are also passed one at a time
STEPS, STEP_SIZE = 20, 0.125
APGD_STEPS = 100
TRAVEL = 2.5  # all steps together, in radii: enough to cross the ball (arXiv 1706.06083)
QUERIES = 200
CORNERS = 10  # random corners of the ball
VANISHED = 1e-20  # below this no component of a gradient survives a float32 product
FAR = 100.0  # to the boundary to first order, in l-infinity: far outside of all images
NUDGE = 0.05  # of the distance to the boundary to first order
HALF = 0.5  # an l-infinity ball in which every image can turn grey
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def of_network(net: nn.Module, x: Tensor, y: Tensor, mean: Tensor, std: Tensor) -> Diagnostics:
    """Measure how a network behaves on images before any attack.

    Args:
        net: The network in eval mode, pixels (B, C, H, W) in [0, 1] to logits.
        x: Images, (B, C, H, W) in [0, 1].
        y: Their labels, (B,) int64.
        mean: Mean of the training pixels, (C,).
        std: Standard deviation of the training pixels, (C,).

    Returns:
        Shares of images, or distances as shares of the spread of an image's logits; 1 or 0 for
        yes or no. `slope` compares how far the margin falls one tiny step away with how far the
        gradient predicts: the median of that ratio, None if no image has a gradient.

    Raises:
        RbmixError: As `CountedModel` does, and for a network through which no gradient flows.
    """
    model = CountedModel(net)
    # A few passes of the images, in other orders and scales, and two gradients.
    passes = Count((PASSES + 4) * len(x) + ALONE, 2 * len(x))
    with tune_threads(model), show_passes("checking the network", passes, model):
        return _of_network(model, x, y, mean, std)


def _of_network(
    model: CountedModel, x: Tensor, y: Tensor, mean: Tensor, std: Tensor
) -> Diagnostics:
    """Do the work of `of_network` on a model whose passes are shown."""
    net = model.net
    before = [tensor.clone() for tensor in state_dict.tensors(net).values()]
    with torch.no_grad():
        first = model(x)
        unrepeatable = of_passes(model, x, first)
        alone = _in_small_batches(model, x[:ALONE])
        turned = model(x.flip(0)).flip(0)
    after = list(state_dict.tensors(net).values())
    moved = any(not torch.equal(old, new) for old, new in zip(before, after, strict=True))
    spread = _spread(first)
    apart = torch.cat([(turned - first) / spread, (alone - first[:ALONE]) / spread[:ALONE]])
    predicted = first.argmax(1) == y
    not_finite, rescaled = _not_finite(model, x), _rescaled(model, x, y, mean, std)
    zero_gradient, slope = _gradients(model, x, y)
    return Diagnostics(
        images=len(x),
        classes=first.shape[1],
        unrepeatable=unrepeatable,
        batch=float(apart.abs().max()),
        changed=float(moved),
        training=float(is_in_train_mode(net)),
        probabilities=float(bool((first >= 0).all() and _near(first.sum(1), 1))),
        not_finite=not_finite,
        accuracy=float(predicted.float().mean()),
        rescaled=rescaled,
        zero_gradient=zero_gradient,
        slope=slope,
        trained_accuracy=None,
    )


def _in_small_batches(model: CountedModel, x: Tensor) -> Tensor:
    """Return the logits of images that are passed alone, or in pairs if a network needs several."""
    try:
        return torch.cat([model(image[None]) for image in x])
    except RbmixError:  # for example a norm over the batch
        return torch.cat([model(x[[at, at - 1]])[:1] for at in range(len(x))])


@torch.no_grad()
def of_passes(model: CountedModel, x: Tensor, first: Tensor | None = None) -> float:
    """Return the largest difference between passes of the same images.

    Args:
        model: The model.
        x: Images, (B, C, H, W).
        first: Logits of an earlier pass, (B, classes); None makes that pass here.

    Returns:
        The difference, as a share of the spread of the image's logits.
    """
    first = model(x) if first is None else first
    others = [model(x) for _ in range(PASSES - 1)]
    return max(float(((again - first) / _spread(first)).abs().max()) for again in others)


def of_attacks(
    model: CountedModel, batch: Batch, standing: Tensor, more_steps: int = 0
) -> dict[str, int]:
    """Measure how other attacks fare on correctly classified images.

    Args:
        model: The model.
        batch: The images, all with one eps.
        standing: Whether the evaluation left each image unbroken at that eps, (B,) bool.
        more_steps: For an evaluation by PGD: steps of a longer PGD, which tests whether the
            evaluation had enough; 0 for none.

    Returns:
        Counts of images, by their names in `Diagnostics`. `fgsm` and `pgd`: broken by that attack.
        `fgsm_only`: broken by FGSM and not by PGD. `blind`: broken by random corners or a short
        Square, and by neither FGSM nor PGD. `half`: unbroken by PGD in the l-infinity ball of
        radius 0.5. `gained`: unbroken in the evaluation, broken by another APGD. `own_gained`,
        only with `more_steps`: broken by that many smaller steps on the same loss, from another
        random start.
    """
    stood = int(standing.sum())
    steps = (2 * STEPS + 1) * len(batch) + (2 * APGD_STEPS + more_steps) * stood
    blind = (CORNERS + QUERIES) * stood  # of those that neither FGSM nor PGD breaks, about as many
    with show_passes("checking the attack", Count(steps + blind, steps), model):
        return _of_attacks(model, batch, standing, more_steps)


def _of_attacks(
    model: CountedModel, batch: Batch, standing: Tensor, more_steps: int
) -> dict[str, int]:
    """Do the work of `of_attacks` on a model whose passes are shown."""
    x, y, seeds, norm, eps = batch.x, batch.y, batch.seeds, batch.norm, batch.one_eps()
    batch = replace(batch, eps=batch.radius)
    how: dict[str, Any] = {"steps": STEPS, "step_size": STEP_SIZE, "random_start": True}

    def falls(moved: Tensor, rows: Tensor, within: float = eps, ball: str = norm) -> Tensor:
        with torch.no_grad():
            logits: Tensor = model(project(moved.to(x), x[rows], within, ball))
            return logits.argmax(1) != y[rows]

    everything = torch.arange(len(x), device=x.device)
    by_fgsm = falls(x + eps * fgsm_direction(model, x, y, norm), everything)
    by_pgd = falls(pgd(model, batch, **how), everything)
    half_ball = Batch(x, y, torch.full_like(batch.eps, HALF), derive(seeds, 1), "linf")
    half = falls(pgd(model, half_ball, **how), everything, HALF, "linf")
    blind = torch.zeros(len(x), dtype=torch.bool, device=x.device)
    left = (~by_fgsm & ~by_pgd).nonzero().squeeze(1)
    if len(left):
        blind[left] = falls(_random_corner(x[left], seeds[left], eps, norm, 0), left)
        for draw in range(1, CORNERS):
            blind[left] |= falls(_random_corner(x[left], seeds[left], eps, norm, draw), left)
        found = square(model, _reseeded(batch.take(left), 2), queries=QUERIES)
        blind[left] |= falls(found, left)
    stood = standing.to(x.device).nonzero().squeeze(1)
    gained = torch.zeros(len(stood), dtype=torch.bool, device=x.device)
    for number, loss in enumerate(_losses(model, x)):
        if len(stood):
            again = _reseeded(batch.take(stood), 3 + number)
            gained |= falls(apgd(model, again, loss, steps=APGD_STEPS), stood)
    own: dict[str, int] = {}
    if more_steps:
        own["own_gained"] = 0
        if len(stood):
            found = pgd(
                model, _reseeded(batch.take(stood), 5), steps=more_steps,
                step_size=TRAVEL / more_steps, random_start=True,
            )  # fmt: skip
            own["own_gained"] = int(falls(found, stood).sum())
    return {
        "attacked": len(x),
        "fgsm": int(by_fgsm.sum()),
        "pgd": int(by_pgd.sum()),
        "fgsm_only": int((by_fgsm & ~by_pgd).sum()),
        "blind": int(blind.sum()),
        "half": int((~half).sum()),
        "stood": len(stood),
        "gained": int(gained.sum()),
        **own,
    }


def _reseeded(batch: Batch, number: int) -> Batch:
    """Return the batch with other seeds."""
    return replace(batch, seeds=derive(batch.seeds, number))


def _losses(model: CountedModel, x: Tensor) -> Iterator[Loss]:
    """Yield the cross-entropy and, if there are enough classes, the difference of logits ratio."""
    yield untargeted(losses.cross_entropy)
    with torch.no_grad():
        enough = model(x[:1]).shape[1] >= 3
    if enough:
        yield untargeted(losses.dlr)


def _random_corner(x: Tensor, seeds: Tensor, eps: float, norm: str, draw: int) -> Tensor:
    count = x[0].numel()
    scale = eps if norm == "linf" else eps / count**0.5
    return x + scale * signs(derive(seeds, 10), draw, count).view_as(x).to(x)


def _gradients(model: CountedModel, x: Tensor, y: Tensor) -> tuple[float, float | None]:
    """Return the share of images without a gradient to follow, and `Diagnostics.slope`."""
    with torch.enable_grad():
        point = x.detach().clone().requires_grad_()
        loss = F.cross_entropy(model(point), y, reduction="sum")
        gradient = gradient_of(loss, point)
    value, slope = margins_and_gradients(model, x, y)
    far = value > FAR * slope.norm(p=1, dim=1)
    vanished = (gradient.flatten(1).abs().amax(1) < VANISHED) | far
    ask = (value > 0) & (slope.abs().amax(1) > 0)
    if not bool(ask.any()):
        return float(vanished.float().mean()), None
    x, y, value, slope = x[ask], y[ask], value[ask], slope[ask]
    size = NUDGE * value / slope.norm(p=1, dim=1)
    moved = (x - size[:, None, None, None] * slope.sign().view_as(x)).clamp(0, 1)
    promised = -(slope * (moved - x).flatten(1)).sum(1)
    with torch.no_grad():
        real = value - losses.margin(model(moved), y)
    there = promised > 0
    ratio = (real[there] / promised[there]).median() if bool(there.any()) else None
    return float(vanished.float().mean()), None if ratio is None else float(ratio)


@torch.no_grad()
def _not_finite(model: CountedModel, x: Tensor) -> float:
    """Return the share of logits that are not finite at black, white and random corners."""
    noise = torch.Generator().manual_seed(0)
    corners = torch.randint(0, 2, x.shape, generator=noise).to(x)
    logits = [model.ask(point) for point in (torch.zeros_like(x), torch.ones_like(x), corners)]
    return float((~torch.cat(logits).isfinite()).float().mean())


@torch.no_grad()
def _rescaled(model: CountedModel, x: Tensor, y: Tensor, mean: Tensor, std: Tensor) -> float:
    """Return the best accuracy on the same images in other common pixel scales."""
    scales = [(mean, std), (0.0, 1 / 255), (0.5, 0.5)]
    if x.shape[1] == 3:
        scales.append((torch.tensor(IMAGENET[0]), torch.tensor(IMAGENET[1])))
    best = 0.0
    for shift, scale in scales:
        shift, scale = (torch.as_tensor(v).to(x).reshape(-1, 1, 1) for v in (shift, scale))
        with suppress(RbmixError):  # a network may check the range of its images
            logits = model.ask((x - shift) / scale)
            best = max(best, float((logits.argmax(1) == y).float().mean()))
    return best


def _spread(logits: Tensor) -> Tensor:
    """Return each image's largest logit minus its smallest, (B, 1)."""
    return (logits.amax(1) - logits.amin(1)).clamp_min(1e-12)[:, None]


def _near(values: Tensor, wanted: float) -> bool:
    return bool(((values - wanted).abs() < 1e-3).all())
