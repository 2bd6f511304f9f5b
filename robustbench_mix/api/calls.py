"""The one road of `evaluate`, `curve` and `AutoAttack`, from a caller's objects to a run."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from torch import Tensor

from robustbench_mix.attacks.counted_model import CountedModel
from robustbench_mix.config.limits import MAX_BATCH_SIZE, check_count
from robustbench_mix.config.words import DeviceName
from robustbench_mix.evaluation import evaluate
from robustbench_mix.evaluation.borrow import borrow
from robustbench_mix.evaluation.evaluate import Evaluation
from robustbench_mix.evaluation.pending_run import NOTHING, Extras
from robustbench_mix.evaluation.plan import EvaluationPlan
from robustbench_mix.models import given
from robustbench_mix.models.given import adapt, as_module
from robustbench_mix.results.records import Run
from robustbench_mix.runtime.devices import pick_device
from robustbench_mix.runtime.progress import set_quiet, silenced

Device = DeviceName | str | torch.device | int


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


def find_examples(plan: EvaluationPlan, state_path: Path | None = None) -> tuple[Run, Tensor]:
    """Carry out a plan, keep no records, and return the run with its adversarial examples.

    Args:
        plan: The plan.
        state_path: A file for the resume state, as in `Extras`.

    Returns:
        The run, and the examples as in `Evaluation.x_adv`.
    """
    done = carry_out(plan, extras=Extras(examples=True, state_path=state_path))
    assert done.x_adv is not None
    return done.run, done.x_adv


def logits_of(
    model: object, images: Tensor, batch_size: int | None, device: Device | None
) -> Tensor:
    """Return the logits of a caller's network in eval mode.

    Args:
        model: The network.
        images: Images on the CPU, (n, C, H, W) float32.
        batch_size: Number of images in each pass; None passes all at once.
        device: The device; None is that of the network.

    Returns:
        The logits, (n, classes) float32 on the CPU.

    Raises:
        RbmixError: The network or the batch size is wrong.
    """
    size = check_count("batch size", batch_size, MAX_BATCH_SIZE) or len(images)
    home = pick_device(device_of(model, device))
    network = adapt(as_module(model), images[:2])
    with torch.no_grad(), borrow(network, home):
        counted = CountedModel(network)
        return torch.cat([counted(part.to(home)).cpu() for part in torch.split(images, size)])


def device_of(model: object, named: Device | None = None) -> str:
    """Return the name of the device: the named one, or that of a caller's network.

    Raises:
        RbmixError: The network cannot be called.
    """
    network = as_module(model)
    return str(given.device_of(network)) if named is None else device_name(named)


def device_name(device: Device) -> str:
    """Return a device as a word."""
    return device if isinstance(device, str) else str(torch.device(device))
