"""Random signs: the sanity floor that every real attack must beat."""

from __future__ import annotations

from torch import Tensor

from robustbench_mix.attacks.base import Batch, Stage, constant_passes
from robustbench_mix.attacks.counted_model import CountedModel
from robustbench_mix.attacks.norms import random_signs
from robustbench_mix.attacks.options import at_least_one
from robustbench_mix.attacks.passes import Count
from robustbench_mix.attacks.streams import generators

MAX_DRAWS = 10_000


def noise_stages(classes: int, *, draws: int = 1) -> list[Stage]:
    """Return one stage for each independent random corner of the ball: no gradient, no queries.

    Args:
        classes: Number of classes of the model; any will do.
        draws: Number of corners.
    """
    return [_draw(number) for number in range(at_least_one("draws", draws, MAX_DRAWS))]


def _draw(number: int) -> Stage:
    name = f"noise-{number}"

    def attack(model: CountedModel, batch: Batch) -> Tensor:
        corners = generators(batch.index, batch.seed, name)
        return random_signs(batch.x, batch.one_eps(), batch.norm, corners)

    return Stage(name, attack, passes=constant_passes(Count(1)))
