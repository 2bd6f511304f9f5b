"""FGSM, the paper's only attack (Goodfellow et al., arXiv 1412.6572)."""

from __future__ import annotations

from torch import Tensor

from robustbench_mix.attacks.base import Component, Target, always, at_least_one
from robustbench_mix.attacks.passes import Count
from robustbench_mix.attacks.reference.gradient_descent import descend


def fgsm(classes: int, *, eot: int = 1) -> list[Component]:
    """One step of length eps from the image along the sign of the loss gradient.

    The gradient is that of `eot` passes.
    """
    at_least_one("eot", eot)

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
        return descend(
            target, x, y, eps=eps, norm=norm, steps=1, step_size=1.0, starts=None, eot=eot
        )

    return [Component("fgsm", attack, passes=always(Count(eot, eot)))]
