"""Choose the engine of a protocol: fast, reference, or reference for models that draw."""

from __future__ import annotations

import typing
from dataclasses import dataclass
from functools import partial

from torch import nn

from robustbench_mix.attacks import registry
from robustbench_mix.attacks.base import Stage, check_norm
from robustbench_mix.attacks.voting import DRAWS
from robustbench_mix.config.protocols import Protocol
from robustbench_mix.data.dataset import Split
from robustbench_mix.evaluation.attack_plan import AttackPlan
from robustbench_mix.evaluation.fast import FastOptions, search_all
from robustbench_mix.evaluation.harness import Settings
from robustbench_mix.evaluation.reference import attack_all
from robustbench_mix.evaluation.state import State


class Engine(typing.Protocol):
    """Attack every image under a protocol; arguments as `reference.attack_all`."""

    def __call__(
        self,
        model: nn.Module,
        split: Split,
        protocol: Protocol,
        stages: list[Stage],
        settings: Settings,
        state: State | None = None,
    ) -> State: ...


@dataclass(frozen=True)
class Schedule:
    """The stages of a plan, and the engine that runs them.

    Args:
        stages: The stages.
        engine: The engine.
        steps: Maximum number of (epsilon, stage) pairs that an image passes; on the fast engine,
            of stages.
    """

    stages: list[Stage]
    engine: Engine
    steps: int


def schedule_of(plan: AttackPlan, classes: int, images: int = 0) -> Schedule:
    """Choose the stages and the engine of a plan.

    Args:
        plan: The protocol, and how it is run.
        classes: Number of classes of the model.
        images: Number of images in all, even if only a part of them is attacked.

    Raises:
        RbmixError: If the protocol's options are wrong, or do not go with so many classes.
    """
    protocol = plan.protocol
    name, options = protocol.algorithm, protocol.options
    if plan.backend == "fast" and not plan.exhaustive:
        stages = registry.fast_stages(name, classes, options)
        # A single attack of an ensemble is measured alone: the step that places would help it.
        place = len(stages) > 1 or name != "autoattack"
        engine = partial(search_all, options=FastOptions(images=images, place=place))
        return Schedule(stages, engine, len(stages))
    if plan.exhaustive:
        stages = registry.fast_stages(name, classes, options, early_stop=False)
        engine = partial(attack_all, exhaustive=True)
    else:
        stages = registry.reference_stages(name, classes, options)
        check_norm(stages, protocol.norm)
        # On the reference engine, because the fast one decides by a single pass.
        engine = partial(attack_all, draws=DRAWS if plan.randomised else 1)
    return Schedule(stages, engine, len(stages) * len(protocol.eps))
