"""How a protocol is run: fast, on the libraries, or for networks that draw random numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from robustbench_mix.attacks import registry
from robustbench_mix.attacks.base import check_norm
from robustbench_mix.attacks.native import ensembles
from robustbench_mix.attacks.native.ensembles import Rung
from robustbench_mix.attacks.voting import DRAWS
from robustbench_mix.evaluation.fast import search_all
from robustbench_mix.evaluation.plan import AttackPlan
from robustbench_mix.evaluation.reference import attack_all
from robustbench_mix.evaluation.state import State


@dataclass(frozen=True)
class Schedule:
    """The attacks of a plan. `steps` is how many an image can pass."""

    attack: Callable[..., State]
    rungs: list[Rung]
    steps: int


def schedule_of(plan: AttackPlan, classes: int, images: int = 0) -> Schedule:
    """Choose the attacks for a network of so many classes.

    Args:
        plan: The protocol, and how it is run.
        classes: Number of logits.
        images: How many there are in all, also where parts of them are attacked.

    Raises:
        RbmixError: If the protocol's options are wrong, or do not go with so many classes.
    """
    protocol = plan.protocol
    name, options = protocol.algorithm, protocol.options
    if plan.exhaustive:
        rungs = ensembles.ladder(name, classes, options, early_stop=False)
        steps = ensembles.as_components(rungs)
        attack = partial(attack_all, steps=steps, exhaustive=True)
        return Schedule(attack, [], len(steps) * len(protocol.eps))
    if plan.backend == "fast":
        rungs = ensembles.ladder(name, classes, options)
        return Schedule(partial(search_all, ladder=rungs, images=images), rungs, len(rungs))
    steps = registry.components(name, classes, options)
    check_norm(steps, protocol.norm)
    # On the reference backend: the fast one believes whatever a single pass says.
    attack = partial(attack_all, steps=steps, draws=DRAWS if plan.randomised else 1)
    return Schedule(attack, [], len(steps) * len(protocol.eps))
