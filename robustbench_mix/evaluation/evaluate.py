"""Carry out an evaluation: from a plan to a run on disk."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from robustbench_mix.data.shape import Shape, shape_of
from robustbench_mix.evaluation.identity import header_of, path_of
from robustbench_mix.evaluation.inputs import Inputs, load_inputs
from robustbench_mix.evaluation.load_model import (
    check_exists,
    checkpoint_header,
    label_of,
    load_model,
    train_model,
)
from robustbench_mix.evaluation.pending_run import (
    NOTHING,
    Extras,
    make_run,
    make_shard,
    pending_run,
    read_finished_run,
    tell_reused,
)
from robustbench_mix.evaluation.plan import EvaluationPlan
from robustbench_mix.evaluation.resume import Shard
from robustbench_mix.evaluation.schedules import schedule_of
from robustbench_mix.models.factory import input_shape
from robustbench_mix.results.records import Run
from robustbench_mix.runtime.devices import default_batch_size
from robustbench_mix.storage.files import check_writable


@dataclass(frozen=True)
class Evaluation:
    """A finished run, the path of its records, and whether they existed before.

    `available` is the number of test images of the data set, of which the run may have taken some.
    `x_adv` are the adversarial examples if they were asked for, (n, C, H, W) float32 on the CPU:
    for each image that of its smallest epsilon, and the clean image where none was found.
    """

    run: Run
    path: Path
    reused: bool
    available: int
    x_adv: Tensor | None = None


def evaluate(
    plan: EvaluationPlan, results: Path, *, fresh: bool = False, extras: Extras = NOTHING
) -> Evaluation:
    """Attack the network of a plan and write the records; train the network first if needed.

    Args:
        plan: The network, the data and the attack.
        results: The results folder.
        fresh: Attack even if records of exactly these settings and versions exist. Without it
            they are read instead.
        extras: What is wanted beside the records.

    Raises:
        RbmixError: For what a user can fix.
    """
    check_exists(plan.model)
    check_writable(results)
    inputs = load_inputs(plan)
    fitted = fitted_shape(plan, inputs)
    batch_size, schedule = batch_size_of(plan, inputs), None
    if plan.model.is_trained:
        # Checked before training: the number of classes is known, and the options may be wrong.
        schedule = schedule_of(plan.attack, fitted.classes, len(inputs.split))
        if (
            not fresh
            and not extras.examples
            and (done := _find_recorded(plan, inputs, results, batch_size))
        ):
            return done
    label, trained = load_model(plan.model, inputs.dataset, inputs.device)
    pending = pending_run(
        label, trained, inputs, plan.attack, results, batch_size=batch_size, schedule=schedule
    )
    found = inputs.split.pixels() if extras.examples else None
    pending = replace(pending, state_file=extras.state_path, found=found)
    run, reused = make_run(pending, fresh=fresh)
    return Evaluation(run, pending.path, reused, len(inputs.dataset.test), found)


def attack_shard(plan: EvaluationPlan, results: Path, shard: Shard) -> None:
    """Attack a part of the images; `evaluate` joins the parts.

    Args:
        plan: The network, the data and the attack.
        results: The results folder.
        shard: The part.

    Raises:
        RbmixError: As `evaluate` does.
    """
    inputs = load_inputs(plan)
    trained = train_model(plan.model, inputs.dataset, inputs.device)
    label, batch_size = label_of(plan.model), batch_size_of(plan, inputs)
    make_shard(
        pending_run(label, trained, inputs, plan.attack, results, batch_size=batch_size), shard
    )


def fitted_shape(plan: EvaluationPlan, inputs: Inputs) -> Shape:
    """Return the shape that the network must fit: that of the data after the plan's interface."""
    return input_shape(plan.model.spec, shape_of(inputs.dataset))


def batch_size_of(plan: EvaluationPlan, inputs: Inputs) -> int:
    """Return how many images to attack at once."""
    asked = plan.attack.batch_size
    return asked or default_batch_size(fitted_shape(plan, inputs).size, inputs.device)


def _find_recorded(
    plan: EvaluationPlan, inputs: Inputs, results: Path, batch_size: int
) -> Evaluation | None:
    """Find the finished run of a network with a cached checkpoint, without loading the network."""
    checkpoint = checkpoint_header(plan.model, inputs.dataset, inputs.device)
    if checkpoint is None:
        return None
    label, weights = label_of(plan.model), checkpoint.weights_hash
    header = header_of(label, checkpoint, weights, inputs, plan.attack, batch_size)
    run, path = read_finished_run(header, results), path_of(header, results)
    if run is None:
        return None
    tell_reused(path)
    return Evaluation(run, path, True, len(inputs.dataset.test))
