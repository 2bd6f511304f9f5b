"""FGSM through foolbox (Goodfellow et al., arXiv 1412.6572)."""

from __future__ import annotations

from functools import partial

from robustbench_mix.attacks.base import Stage, constant_passes
from robustbench_mix.attacks.options import at_least_one
from robustbench_mix.attacks.passes import Count
from robustbench_mix.attacks.reference.gradient_descent import descend


def fgsm_stages(classes: int, *, eot: int = 1) -> list[Stage]:
    """Return one stage: one step of length eps along the sign of the loss gradient.

    Args:
        classes: Number of classes of the model; any will do.
        eot: Number of passes whose gradients are summed.
    """
    at_least_one("eot", eot)
    attack = partial(descend, steps=1, step_size=1.0, starts=None, eot=eot)
    return [Stage("fgsm", attack, passes=constant_passes(Count(eot, eot)))]
