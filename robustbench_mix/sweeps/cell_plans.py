"""Turn the cells of a sweep into checked plans, without PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

from robustbench_mix.config import catalog
from robustbench_mix.config.model import Unshuffler
from robustbench_mix.config.training import Training
from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation.attack_plan import AttackPlan, attack_plan
from robustbench_mix.evaluation.data_plan import UNSHUFFLING_EXAMPLES, DataPlan
from robustbench_mix.evaluation.model_plan import trained_model
from robustbench_mix.evaluation.plan import (
    EvaluationPlan,
    ExplanationPlan,
    TrainingPlan,
    UnshufflingPlan,
    explanation_plan,
)
from robustbench_mix.sweeps.definition import Cell, Sweep, UnshufflingCell


@dataclass(frozen=True)
class CellPlan:
    """The plans of a network: to train it, to attack it, and possibly to explain it."""

    training: TrainingPlan
    attacks: tuple[EvaluationPlan, ...] = ()
    explanation: ExplanationPlan | None = None


@dataclass(frozen=True)
class SweepPlan:
    """The plans of all cells of a sweep, in its order."""

    cells: tuple[CellPlan, ...]
    unshufflings: tuple[UnshufflingPlan, ...]


def plan_sweep(sweep: Sweep, device: str = "auto", precision: str = "auto") -> SweepPlan:
    """Plan every cell of a sweep.

    Args:
        sweep: The sweep.
        device: Name of the device.
        precision: Precision of the trainings.

    Raises:
        RbmixError: A word is wrong.
    """
    attack_of = lru_cache(maxsize=None)(attack_plan)  # every file is read once
    return SweepPlan(
        tuple(_plan_cell(cell, device, precision, attack_of) for cell in sweep.cells),
        tuple(_plan_unshuffling(cell, device, precision) for cell in sweep.unshuffling_cells),
    )


def _plan_cell(
    cell: Cell, device: str, precision: str, attack_of: Callable[[str, str], AttackPlan]
) -> CellPlan:
    """Make the plans of a cell.

    A sweep may come from others, so it must not name modules that are imported.
    """
    word = cell.spec.model
    if catalog.is_code(word):
        raise RbmixError(
            f"model {word!r} is code, which no sweep imports: `rbmix evaluate --model`"
        )
    training = replace(cell.training, precision=precision)
    model, data = trained_model(cell.spec, training), DataPlan(cell.dataset, cell.examples)
    return CellPlan(
        TrainingPlan(data=data, device=device, model=model),
        tuple(
            EvaluationPlan(
                data=data, device=device, model=model, attack=attack_of(attack, data.name)
            )
            for attack in cell.attacks
        ),
        explanation_plan(model, data, device=device) if cell.explain else None,
    )


def _plan_unshuffling(cell: UnshufflingCell, device: str, precision: str) -> UnshufflingPlan:
    """Make the plan of a network that un-shuffles."""
    shape = (cell.width, cell.depth, cell.kernel)
    return UnshufflingPlan(
        data=DataPlan(cell.dataset, default=UNSHUFFLING_EXAMPLES),
        device=device,
        unshufflers=(Unshuffler(*shape, spatial=cell.spatial, seed=cell.seed),),
        training=Training(cell.epochs, cell.train_examples, None, precision),
    )
