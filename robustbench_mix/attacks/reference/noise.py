"""Random signs: the sanity floor that every real attack must beat."""

from __future__ import annotations

from torch import Tensor

from robustbench_mix.attacks.base import Component, Target, always, at_least_one
from robustbench_mix.attacks.norms import random_signs
from robustbench_mix.attacks.passes import Count
from robustbench_mix.attacks.streams import generators

MAX_DRAWS = 10_000


def noise(classes: int, *, draws: int = 1) -> list[Component]:
    """`draws` independent random corners of the ball, no gradient, no queries."""
    return [_draw(number) for number in range(at_least_one("draws", draws, MAX_DRAWS))]


def _draw(number: int) -> Component:
    name = f"noise-{number}"

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
        return random_signs(x, eps, norm, generators(index, seed, name))

    return Component(name, attack, passes=always(Count(1)))
