"""Carry out a run that is not finished: attack whole or in shards, and write the records."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from msgspec import structs
from torch import Tensor

from robustbench_mix.config.protocols import Protocol
from robustbench_mix.data.dataset import Split
from robustbench_mix.evaluation import outcome, resume, sanity_checks
from robustbench_mix.evaluation.attack_plan import AttackPlan
from robustbench_mix.evaluation.harness import Settings, check_classes, classes_of
from robustbench_mix.evaluation.identity import (
    Label,
    differences,
    header_of,
    path_of,
    read_finished,
)
from robustbench_mix.evaluation.inputs import Inputs
from robustbench_mix.evaluation.recognise import has_margins
from robustbench_mix.evaluation.resume import Saver, Shard, Sizes
from robustbench_mix.evaluation.sample_audit import bound_of, findings
from robustbench_mix.evaluation.schedules import Schedule, schedule_of
from robustbench_mix.evaluation.state import State
from robustbench_mix.models.checkpoint import weights_hash
from robustbench_mix.models.given import precision_of
from robustbench_mix.results import flags, records
from robustbench_mix.results.headers import Diagnostics, Passes, RunHeader, RunIdentity
from robustbench_mix.results.records import Run
from robustbench_mix.runtime import provenance
from robustbench_mix.storage.locks import exclusive_lock
from robustbench_mix.storage.validation import extend
from robustbench_mix.training.load_or_train import TrainedModel

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Extras:
    """What a caller wants beside the records.

    Args:
        examples: Whether to return the adversarial examples. A run that exists has none, so it is
            made again.
        state_path: Where to keep the resume state, also when the run is finished; None for
            beside the records, until then.
    """

    examples: bool = False
    state_path: Path | None = None


NOTHING = Extras()


@dataclass(frozen=True)
class PendingRun:
    """A network, the images, the attack on them, and the path of the records.

    `state_file` and `found` are what `Extras` ask for: where to keep the resume state, and a tensor
    to fill with the adversarial examples, as in `Settings`.
    """

    trained: TrainedModel
    inputs: Inputs
    attack: AttackPlan
    schedule: Schedule
    header: RunIdentity
    results: Path
    path: Path
    state_file: Path | None = None
    found: Tensor | None = None

    @property
    def state_path(self) -> Path:
        """Where the resume state is kept."""
        return self.state_file or resume.resume_state_path(self.path)

    @property
    def protocol(self) -> Protocol:
        """The protocol of the attack."""
        return self.attack.protocol

    @property
    def split(self) -> Split:
        """The images that are attacked."""
        return self.inputs.split

    def sizes(self, images: int) -> Sizes:
        """Return the sizes that the state of an attack on so many images must have."""
        levels, steps = len(self.protocol.eps), self.schedule.steps
        return Sizes(images, levels, steps, self.header.batch_size)


def pending_run(
    label: Label,
    trained: TrainedModel,
    inputs: Inputs,
    attack: AttackPlan,
    results: Path,
    *,
    batch_size: int,
    schedule: Schedule | None = None,
) -> PendingRun:
    """Describe the run of an attack on a network, with records under `results`.

    Args:
        label: The words that the network goes by in records.
        trained: The network, and the header of its checkpoint.
        inputs: The images, and the device.
        attack: The protocol, and how it is run.
        results: The results folder.
        batch_size: Number of images to attack at once.
        schedule: The stages and engine, if they were chosen before the network was loaded.

    Raises:
        RbmixError: If the network, the data and the attack do not go together.
    """
    if schedule is None:
        classes = classes_of(trained.model, inputs.split, inputs.device)
        check_classes(classes, inputs.split)
        schedule = schedule_of(attack, classes, len(inputs.split))
    weights = weights_hash(trained.model)
    header = header_of(label, trained.header, weights, inputs, attack, batch_size)
    return PendingRun(trained, inputs, attack, schedule, header, results, path_of(header, results))


def read_finished_run(header: RunIdentity, results: Path) -> Run | None:
    """Return the run with this header if it is on disk, complete, and has no resume state."""
    path = path_of(header, results)
    run = read_finished(path, header)
    if run is None or run.header.diagnostics is None or resume.has_resume_state(path):
        return None
    return run


def make_run(pending: PendingRun, *, fresh: bool = False) -> tuple[Run, bool]:
    """Attack every image and write the records.

    A finished run of exactly these settings and versions is read instead, unless `fresh`. An
    interrupted run is continued, and a run whose shards all exist is joined.

    Args:
        pending: The run.
        fresh: Whether to attack again from the start.

    Returns:
        The run, and whether it existed before.

    Raises:
        RbmixError: For what a user can fix.
    """
    with exclusive_lock(pending.path):
        run = None if fresh or pending.found is not None else _read_kept(pending)
        if run is not None:
            return run, True
        run = _attack(pending, fresh)
        if aside := records.archive_replaced(pending.path, pending.results, run):
            logger.info(f"the earlier records are kept as {aside}")
        records.write(run, pending.path)
        resume.delete_resume_state(pending.path)
    return run, False


def make_shard(pending: PendingRun, shard: Shard) -> None:
    """Attack a part of the images, unless it is on disk; `make_run` joins the parts.

    Raises:
        RbmixError: As `make_run` does.
    """
    rows = shard.rows(len(pending.split))
    split = pending.split.take(torch.tensor(rows))
    path, sizes = shard.path(pending.path), pending.sizes(len(rows))
    with exclusive_lock(path):
        if resume.read_state(path, pending.header, sizes) is not None:
            return
        _check_network(pending)
        partial = resume.resume_state_path(path)
        state = _search(pending, split, partial, resume.read_state(partial, pending.header, sizes))
        saver = Saver(path, pending.header)
        saver(state)
        saver.flush()
        partial.unlink(missing_ok=True)


def _read_kept(pending: PendingRun) -> Run | None:
    """Return the finished run with its diagnostics, None if it is not on disk."""
    if not pending.path.exists():
        return None
    run = records.read(pending.path)
    if other := differences(run.header, pending.header):
        logger.info(f"{pending.path} is of another run (other {', '.join(other)}): attacking again")
        return None
    found = run.header.diagnostics
    is_steady = found is None or not flags.depends_on_batch(found)
    if is_steady and not _is_network_of(pending, run.table["margin"].tolist()):
        logger.info(f"{pending.path} is of another network of this name: attacking again")
        return None
    tell_reused(pending.path)
    if found is None:
        run = _with_diagnostics(run, pending, None)
        records.write(run, pending.path)
    resume.delete_resume_state(pending.path)  # left if the process was killed just after writing
    return run


def _is_network_of(pending: PendingRun, margins: list[float]) -> bool:
    """Return whether the network of the run is the one with these margins on its images."""
    trained, inputs = pending.trained, pending.inputs
    if trained.header.weights_hash or pending.attack.randomised:
        return True  # its weights are all of it, or its margins are never the same
    return has_margins(trained.model, inputs.split, inputs.device, margins)


def tell_reused(path: Path) -> None:
    """Log that existing records are read."""
    logger.info(f"already evaluated, read {path} (--fresh attacks again)")


def _attack(pending: PendingRun, fresh: bool) -> Run:
    """Attack every image; continue an unfinished run unless `fresh`."""
    split = pending.split
    measured = _check_network(pending)
    sizes = pending.sizes(len(split))
    state = None
    if not fresh or pending.state_file is not None:
        state = resume.read_state(pending.state_path, pending.header, sizes)
        if state is not None and not _is_network_of(pending, state.margin):
            state = None
    if state is None and pending.state_file is not None:
        resume.check_free(pending.state_file)
    if pending.found is not None:
        state = state and resume.restore_examples(pending.state_path, state, pending.found)
    elif not fresh:
        state = state or resume.join_shards(pending.path, pending.header, sizes)
    state = _search(pending, split, pending.state_path, state)
    stages = pending.schedule.stages
    concludes = pending.attack.recorded_backend == "fast" and bool(stages)
    audit = findings(state, sizes.levels) if concludes and bound_of(stages) else None
    precision = precision_of(pending.trained.model)
    header = extend(
        pending.header,
        RunHeader,
        passes={stage: Passes(**spent) for stage, spent in state.passes.items()},
        checked=outcome.count_conclusions(state),
        audit=audit,
        smallest_batch=state.batch_size if state.batch_size < sizes.batch_size else None,
        weights_precision=None if precision == "float32" else precision,
        search_precision=state.search or None,
    )
    run = Run(
        header=header,
        table=outcome.table(split, state, sizes.levels, concludes),
        date=provenance.today(),
        time_seconds={
            "training": pending.trained.header.time_seconds or 0.0,
            "attacking": state.attack_seconds,
        },
    )
    return _with_diagnostics(run, pending, measured)


def _search(pending: PendingRun, split: Split, partial: Path, state: State | None) -> State:
    """Attack these images to the end, from `state` if there is one; save it at `partial`."""
    if state is not None:
        logger.info(f"continuing the unfinished run {partial}")
    header, schedule = pending.header, pending.schedule
    saver = Saver(partial, header, pending.found)
    settings = Settings(
        header.seed, pending.inputs.device, header.batch_size, save=saver,
        description=f"{pending.protocol.name} on {len(split)} images",
        found=pending.found,
    )  # fmt: skip
    try:
        state = schedule.engine(
            pending.trained.model, split, pending.protocol, schedule.stages, settings, state
        )
    except KeyboardInterrupt:
        saver.flush()
        raise
    if pending.state_file is not None:
        saver(state)
        saver.flush()
    return state


def _measure(pending: PendingRun) -> Diagnostics:
    """Return the diagnostics of the network before the attack."""
    inputs = pending.inputs
    return sanity_checks.of_network(
        pending.trained.model, inputs.dataset, inputs.split, inputs.device
    )


def _check_network(pending: PendingRun) -> Diagnostics:
    """Measure the network and log its flags; raise RbmixError if it draws without `randomised`."""
    measured = _measure(pending)
    is_announced, draws = pending.attack.randomised, flags.draws_random_numbers(measured)
    if is_announced and not draws:
        logger.info("said to be randomised, but deterministic: two passes of the same images agree")
    if draws and not is_announced:
        raise flags.undeclared_randomness(measured.unrepeatable)
    for name, words in flags.of_network(measured, randomised=is_announced).items():
        logger.info(flags.line(name, words))
    return measured


def _with_diagnostics(run: Run, pending: PendingRun, measured: Diagnostics | None) -> Run:
    """Return the run with its diagnostics; `measured` are those from before the attack."""
    model, inputs = pending.trained.model, pending.inputs
    measured = measured or _measure(pending)
    counts: dict[str, int] = {}
    # Other attacks judge by one pass, which says nothing about a vote of several.
    if not (pending.attack.randomised and flags.draws_random_numbers(measured)):
        seed = run.header.seed
        counts = sanity_checks.of_attacks(model, run, inputs.split, inputs.device, seed)
    found = structs.replace(
        measured, trained_accuracy=pending.trained.header.test_accuracy, **counts
    )
    return replace(run, header=structs.replace(run.header, diagnostics=found))
