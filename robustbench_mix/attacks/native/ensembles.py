"""The algorithms on our own attacks, as ladders that the fast schedule climbs.

A rung is an attack with a radius per image, whose draws depend on the image alone. The
options are those of the algorithm of the same name on the library it comes from.

With `early_stop` off nothing is saved: no image leaves, and the passes that AutoAttack's own
code repeats (each attack predicts the clean images, and again to rank targets or to look
at what it found) are repeated here. That gives a cost to compare with, pass for pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor

from robustbench_mix.attacks import losses
from robustbench_mix.attacks.base import (
    Component,
    PassesOf,
    Target,
    always,
    at_least_one,
    call_with_options,
    untold,
)
from robustbench_mix.attacks.native.apgd import apgd, wide
from robustbench_mix.attacks.native.fab import fab
from robustbench_mix.attacks.native.pgd import ascend, first_direction
from robustbench_mix.attacks.native.square import asked, square
from robustbench_mix.attacks.passes import Count
from robustbench_mix.attacks.random import derive
from robustbench_mix.attacks.reference.autoattack import STANDARD, chosen_components, passes_of
from robustbench_mix.attacks.reference.pgd import check_pgd
from robustbench_mix.attacks.streams import stream
from robustbench_mix.config.catalog import check_fast


class Climb(Protocol):
    """x: (B, C, H, W) in [0, 1]; y, seeds: (B,) int64; eps: (B,). Returns x_adv like x."""

    def __call__(
        self, target: Target, x: Tensor, y: Tensor, seeds: Tensor, *, eps: Tensor, norm: str
    ) -> Tensor: ...


@dataclass(frozen=True)
class Rung:
    """A named attack of the ladder.

    With `sample` above 0 it is for a random sample of so many images only, unless it breaks
    one of them. `passes` are those of an image that withstands it.
    """

    name: str
    attack: Climb = field(compare=False)
    sample: int = 0
    passes: PassesOf = field(default=untold, compare=False)


def autoattack(
    classes: int,
    *,
    components: list[str] = STANDARD,
    steps: int = 100,
    targets: int = 9,
    queries: int = 5000,
    early_stop: bool = True,
) -> list[Rung]:
    """The same components, for the same options, as the reference's `autoattack`."""
    at_least_one("steps", steps)
    at_least_one("queries", queries)
    targets = min(at_least_one("targets", targets), classes - 1)
    common: dict[str, Any] = {"steps": steps, "early_stop": early_stop}
    attacks: dict[str, Climb] = {
        "apgd-ce": partial(_untargeted, loss=losses.cross_entropy, **common),
        "apgd-dlr": partial(_untargeted, loss=losses.dlr, **common),
        "apgd-t": partial(_targeted, attack=_apgd_towards, repeats=1, targets=targets, **common),
        "fab-t": partial(_targeted, attack=_fab_towards, repeats=3, targets=targets, **common),
        "square": partial(_square, queries=queries, early_stop=early_stop),
    }

    def passes(name: str) -> PassesOf:
        if name == "square" and early_stop:
            return lambda x, norm: Count(asked(x, norm, queries))
        return always(passes_of(name, steps, targets, queries))

    return [
        Rung(name, attacks[name], passes=passes(name))
        for name in chosen_components(components, classes)
    ]


def autoattack_audited(
    classes: int,
    *,
    sample: int = 40,
    steps: int = 100,
    targets: int = 9,
    queries: int = 5000,
    early_stop: bool = True,
) -> list[Rung]:
    """AutoAttack with FAB-T and Square on a sample: an estimate with a bound, not AutoAttack."""
    at_least_one("sample", sample)
    rungs = autoattack(
        classes, steps=steps, targets=targets, queries=queries, early_stop=early_stop
    )
    return [
        rung if rung.name.startswith("apgd") else replace(rung, sample=sample) for rung in rungs
    ]


def pgd(
    classes: int,
    *,
    steps: int = 40,
    restarts: int = 5,
    step_size: float = 0.1,
    early_stop: bool = True,
) -> list[Rung]:
    """PGD, one rung per restart; the first starts at the image."""
    check_pgd(steps, restarts, step_size)
    return [
        Rung(
            f"pgd-{number}",
            partial(
                ascend,
                steps=steps,
                step_size=step_size,
                random_start=number > 0,
                early_stop=early_stop,
            ),
            passes=always(Count(steps, steps)),
        )
        for number in range(restarts)
    ]


def fgsm(classes: int, *, early_stop: bool = True) -> list[Rung]:
    """FGSM is the step that places an image on the grid: nothing is left to climb.

    Without `early_stop` it is a rung, for a schedule that places nothing.
    """
    return [] if early_stop else [Rung("fgsm", _one_step, passes=always(Count(1, 1)))]


LADDERS: dict[str, Callable[..., list[Rung]]] = {
    "autoattack": autoattack,
    "autoattack-audited": autoattack_audited,
    "fgsm": fgsm,
    "pgd": pgd,
}


def ladder(
    algorithm: str, classes: int, options: dict[str, Any], *, early_stop: bool = True
) -> list[Rung]:
    """The rungs of an algorithm under a protocol's options.

    Without `early_stop` no image leaves a rung before its end. Raises RbmixError for an
    algorithm that has no fast form, and as `components` does.
    """
    check_fast(algorithm)
    make = LADDERS[algorithm]
    if not early_stop:
        make = partial(make, early_stop=False)
    return call_with_options(make, algorithm, classes, options)


def as_components(rungs: list[Rung]) -> list[Component]:
    """The rungs as attacks at one epsilon, for the reference's schedule."""
    return [
        Component(rung.name, partial(_at_one_eps, rung=rung), tells=True, passes=rung.passes)
        for rung in rungs
    ]


def _at_one_eps(
    target: Target,
    x: Tensor,
    y: Tensor,
    *,
    eps: float,
    norm: str,
    index: list[int],
    seed: int,
    rung: Rung,
) -> Tensor:
    seeds = torch.tensor([stream(seed, rung.name, image) for image in index], device=x.device)
    radius = torch.full((len(x),), eps, device=x.device)
    return rung.attack(target, x, y, seeds, eps=radius, norm=norm)


@torch.no_grad()
def _repeat(target: Target, x: Tensor, times: int = 1) -> None:
    """Spend the passes over all images that the original spends and we could save."""
    for _ in range(times):
        target(x)


def _one_step(
    target: Target, x: Tensor, y: Tensor, seeds: Tensor, *, eps: Tensor, norm: str
) -> Tensor:
    return x + wide(eps) * first_direction(target, x, y, norm)


def _untargeted(
    target: Target,
    x: Tensor,
    y: Tensor,
    seeds: Tensor,
    *,
    eps: Tensor,
    norm: str,
    loss: Callable[[Tensor, Tensor], Tensor],
    steps: int,
    early_stop: bool,
) -> Tensor:
    if not early_stop:
        _repeat(target, x)

    def ignoring_aim(logits: Tensor, y: Tensor, aim: Tensor) -> Tensor:
        return loss(logits, y)

    return apgd(
        target, x, y, ignoring_aim, y, seeds,
        eps=eps, norm=norm, steps=steps, early_stop=early_stop,
    )  # fmt: skip


def _targeted(
    target: Target,
    x: Tensor,
    y: Tensor,
    seeds: Tensor,
    *,
    eps: Tensor,
    norm: str,
    attack: Callable[..., Tensor],
    repeats: int,
    targets: int,
    steps: int,
    early_stop: bool,
) -> Tensor:
    """Aim at all runner-up classes at once: a copy of the image for each, the batch full.

    The outcome for an image does not depend on the others: its copies walk on their own and
    the first that breaks it decides, the likelier class among several. `repeats` are the
    passes over the clean images that the original spends on each target.
    """
    with torch.no_grad():
        ranking = target(x).argsort(dim=1, descending=True)
    if not early_stop:
        _repeat(target, x, repeats * targets)
    found = x.clone()
    everybody = torch.arange(len(x), device=x.device)
    ranks = torch.arange(1, targets + 1, device=x.device)
    batches = math.ceil(len(x) * targets / max(target.capacity, targets))
    for rows in everybody.tensor_split(max(batches, 1)):
        row, rank = rows.repeat_interleave(targets), ranks.repeat(len(rows))
        moved = attack(
            target.take(row), x[row], y[row], ranking[row, rank], derive(seeds[row], rank),
            eps=eps[row], norm=norm, steps=steps, early_stop=early_stop, copies=targets,
        )  # fmt: skip
        # An attack returns the image itself where it found nothing.
        hit = (moved != x[row]).flatten(1).any(1).view(len(rows), targets)
        first = moved.view(len(rows), targets, *x.shape[1:])[
            torch.arange(len(rows), device=x.device), hit.int().argmax(1)
        ]
        found[rows] = torch.where(hit.any(1)[:, None, None, None], first, x[rows])
    return found


def _square(
    target: Target,
    x: Tensor,
    y: Tensor,
    seeds: Tensor,
    *,
    eps: Tensor,
    norm: str,
    queries: int,
    early_stop: bool,
) -> Tensor:
    if not early_stop:
        _repeat(target, x, 2)
    return square(target, x, y, seeds, eps=eps, norm=norm, queries=queries, early_stop=early_stop)


def _apgd_towards(
    target: Target, x: Tensor, y: Tensor, aim: Tensor, seeds: Tensor, **options: object
) -> Tensor:
    return apgd(target, x, y, losses.dlr_targeted, aim, seeds, **options)  # type: ignore[arg-type]


def _fab_towards(
    target: Target, x: Tensor, y: Tensor, aim: Tensor, seeds: Tensor, **options: object
) -> Tensor:
    return fab(target, x, y, aim, **options)  # type: ignore[arg-type]
