"""PGD with random restarts (Madry et al., arXiv 1706.06083)."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from robustbench_mix.attacks.base import Component, Target, always, at_least_one
from robustbench_mix.attacks.passes import Count
from robustbench_mix.attacks.reference.gradient_descent import descend
from robustbench_mix.attacks.streams import generators
from robustbench_mix.errors import RbmixError

MAX_RESTARTS = 1000


def pgd(
    classes: int, *, steps: int = 40, restarts: int = 5, step_size: Any = 0.1, eot: int = 1
) -> list[Component]:
    """One component per restart; restart 0 begins at the image, the others at random.

    `step_size` is a share of eps; gradients are those of `eot` passes.
    """
    check_pgd(steps, restarts, step_size)
    at_least_one("eot", eot)
    return [_restart(number, steps, float(step_size), eot) for number in range(restarts)]


def check_pgd(steps: Any, restarts: Any, step_size: Any) -> None:
    """Raise RbmixError for options out of range."""
    at_least_one("steps", steps)
    at_least_one("restarts", restarts, MAX_RESTARTS)
    if type(step_size) not in (int, float) or not 0 < step_size <= 2:
        raise RbmixError(f"option step_size = {step_size!r} must be above 0 and at most 2")


def _restart(number: int, steps: int, step_size: float, eot: int) -> Component:
    name = f"pgd-{number}"

    def attack(
        target: Target,
        x: Tensor,
        y: Tensor,
        *,
        eps: float,
        norm: str,
        index: list[int],
        seed: int,
    ) -> Tensor:
        starts = generators(index, seed, name, repr(eps)) if number else None
        return descend(
            target,
            x,
            y,
            eps=eps,
            norm=norm,
            steps=steps,
            step_size=step_size,
            starts=starts,
            eot=eot,
        )

    return Component(name, attack, passes=always(Count(steps * eot, steps * eot)))
