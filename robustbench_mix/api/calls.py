"""The one road of `evaluate`, `curve` and `AutoAttack`, from a caller's objects to a run."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

from robustbench_mix.evaluation import evaluate
from robustbench_mix.evaluation.evaluate import Evaluation
from robustbench_mix.evaluation.pending_run import NOTHING, Extras
from robustbench_mix.evaluation.plan import EvaluationPlan
from robustbench_mix.models import given
from robustbench_mix.models.given import as_module
from robustbench_mix.runtime.progress import set_quiet, silenced


def carry_out(
    plan: EvaluationPlan,
    results: str | Path | None = None,
    *,
    fresh: bool = False,
    quiet: bool = True,
    extras: Extras = NOTHING,
) -> Evaluation:
    """Carry out a plan as the command line does.

    Args:
        plan: The plan.
        results: The folder of the records; None keeps none.
        fresh: Whether to attack again if the run is there.
        quiet: Whether to show no progress.
        extras: What is wanted beside the records.
    """
    with silenced(), tempfile.TemporaryDirectory() as passing:
        set_quiet(quiet)
        folder = Path(passing if results is None else results)
        return evaluate.evaluate(plan, folder, fresh=fresh, extras=extras)


def device_of(model: object, named: torch.device | str | int | None = None) -> str:
    """Return the name of the device: the named one, or that of a caller's network.

    Raises:
        RbmixError: The network cannot be called.
    """
    network = as_module(model)
    if named is not None:
        return named if isinstance(named, str) else str(torch.device(named))
    return str(given.device_of(network))
