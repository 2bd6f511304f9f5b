"""The algorithms on our own attacks, as ladders that the fast schedule climbs.

A rung is an attack with a radius per image, whose draws depend on the image alone. The
options are those of the algorithm of the same name on the library it comes from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor

from robustbench_mix.algorithms import losses
from robustbench_mix.algorithms.apgd import apgd
from robustbench_mix.algorithms.ascent import ascend
from robustbench_mix.algorithms.attack import Target, at_least_one, call_with_options
from robustbench_mix.algorithms.autoattack import STANDARD, chosen_components
from robustbench_mix.algorithms.fab import fab
from robustbench_mix.algorithms.pgd import check_pgd
from robustbench_mix.algorithms.square import square
from robustbench_mix.draws import derive
from robustbench_mix.errors import RbmixError
from robustbench_mix.norms import distance


class Climb(Protocol):
    """x: (B, C, H, W) in [0, 1]; y, seeds: (B,) int64; eps: (B,). Returns x_adv like x."""

    def __call__(
        self, target: Target, x: Tensor, y: Tensor, seeds: Tensor, *, eps: Tensor, norm: str
    ) -> Tensor: ...


@dataclass(frozen=True)
class Rung:
    """A named attack of the ladder."""

    name: str
    attack: Climb = field(compare=False)


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
        "apgd-t": partial(_targeted, attack=_apgd_towards, targets=targets, **common),
        "fab-t": partial(_targeted, attack=_fab_towards, targets=targets, **common),
        "square": partial(square, queries=queries, early_stop=early_stop),
    }
    return [Rung(name, attacks[name]) for name in chosen_components(components, classes)]


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
        )
        for number in range(restarts)
    ]


def fgsm(classes: int) -> list[Rung]:
    """FGSM is the step that places an image on the grid: nothing is left to climb."""
    return []


LADDERS: dict[str, Callable[..., list[Rung]]] = {
    "autoattack": autoattack,
    "fgsm": fgsm,
    "pgd": pgd,
}


def ladder(algorithm: str, classes: int, options: dict[str, Any]) -> list[Rung]:
    """The rungs of an algorithm under a protocol's options.

    Raises RbmixError for an algorithm that has no fast form, and as `components` does.
    """
    if algorithm not in LADDERS:
        raise RbmixError(
            f"algorithm {algorithm!r} has no fast backend (allowed: {', '.join(LADDERS)}); "
            "use --backend reference"
        )
    return call_with_options(LADDERS[algorithm], algorithm, classes, options)


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
    targets: int,
    steps: int,
    early_stop: bool,
) -> Tensor:
    """Aim at the runner-up classes in turn, with the images that still stand."""
    with torch.no_grad():
        ranking = target(x).argsort(dim=1, descending=True)
    x_adv = x.clone()
    stands = torch.ones(len(x), dtype=torch.bool, device=x.device)
    for rank in range(1, targets + 1):
        row = torch.nonzero(stands).flatten()
        if len(row) == 0:
            break
        moved = attack(
            target, x[row], y[row], ranking[row, rank], derive(seeds[row], rank),
            eps=eps[row], norm=norm, steps=steps, early_stop=early_stop,
        )  # fmt: skip
        # An attack returns the image where it found nothing; FAB may end outside the ball.
        reach = distance(moved, x[row], norm)
        hit = (reach > 0) & (reach <= eps[row] * (1 + 1e-6))
        x_adv[row[hit]] = moved[hit]
        stands[row[hit]] = False
    return x_adv


def _apgd_towards(
    target: Target, x: Tensor, y: Tensor, aim: Tensor, seeds: Tensor, **options: object
) -> Tensor:
    return apgd(target, x, y, losses.dlr_targeted, aim, seeds, **options)  # type: ignore[arg-type]


def _fab_towards(
    target: Target, x: Tensor, y: Tensor, aim: Tensor, seeds: Tensor, **options: object
) -> Tensor:
    return fab(target, x, y, aim, **options)  # type: ignore[arg-type]
