"""PGD with random restarts through foolbox (Madry et al., arXiv 1706.06083)."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from robustbench_mix.attacks.base import Batch, Stage, constant_passes
from robustbench_mix.attacks.counted_model import CountedModel
from robustbench_mix.attacks.options import at_least_one, check_pgd
from robustbench_mix.attacks.passes import Count
from robustbench_mix.attacks.reference.gradient_descent import descend
from robustbench_mix.attacks.streams import generators


def pgd_stages(
    classes: int, *, steps: int = 40, restarts: int = 5, step_size: Any = 0.1, eot: int = 1
) -> list[Stage]:
    """Return one stage per restart; the first starts at the image, the others at random.

    Args:
        classes: Number of classes of the model; any will do.
        steps: Steps of each restart.
        restarts: Number of restarts.
        step_size: Length of a step, as a share of eps.
        eot: Number of passes whose gradients are summed.
    """
    check_pgd(steps, restarts, step_size)
    at_least_one("eot", eot)
    return [_restart(number, steps, float(step_size), eot) for number in range(restarts)]


def _restart(number: int, steps: int, step_size: float, eot: int) -> Stage:
    name = f"pgd-{number}"

    def attack(model: CountedModel, batch: Batch) -> Tensor:
        eps = repr(batch.one_eps())
        starts = generators(batch.index, batch.seed, name, eps) if number else None
        return descend(model, batch, steps=steps, step_size=step_size, starts=starts, eot=eot)

    return Stage(name, attack, passes=constant_passes(Count(steps * eot, steps * eot)))
