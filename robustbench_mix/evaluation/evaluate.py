"""One evaluation: a model, a data set and a protocol in; a run on disk out."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from robustbench_mix.attacks.voting import DRAWS
from robustbench_mix.config import protocols
from robustbench_mix.config.catalog import recorded_backend
from robustbench_mix.config.protocols import Protocol
from robustbench_mix.data.dataset import Dataset, Split, balanced_subset
from robustbench_mix.evaluation import outcome, resume, sanity_checks
from robustbench_mix.evaluation.diagnostics import Measured
from robustbench_mix.evaluation.identity import Label, finished, header_of, path_of
from robustbench_mix.evaluation.reference import check_classes, classes_of
from robustbench_mix.evaluation.resume import Saver, Shard, Sizes
from robustbench_mix.evaluation.sample_audit import findings
from robustbench_mix.evaluation.schedules import Schedule, schedule_of
from robustbench_mix.evaluation.state import State
from robustbench_mix.models.checkpoint import weights_hash
from robustbench_mix.results import flags, records
from robustbench_mix.results.records import Run
from robustbench_mix.runtime import provenance
from robustbench_mix.storage.locks import exclusive_lock
from robustbench_mix.training.load_or_train import TrainedModel

logger = logging.getLogger(__name__)

DEFAULT_EXAMPLES = {"digits": 40}
OTHER_EXAMPLES = 1000


@dataclass(frozen=True)
class Evaluation:
    """A finished run, where its records are, and whether they were there before."""

    run: Run
    path: Path
    reused: bool


def default_examples(dataset: str) -> int:
    """How many test images are attacked unless told otherwise."""
    return DEFAULT_EXAMPLES.get(dataset, OTHER_EXAMPLES)


@dataclass(frozen=True)
class Task:
    """What is evaluated on what and how, and where its records belong; made by `task`."""

    trained: TrainedModel
    dataset: Dataset
    split: Split
    protocol: Protocol
    schedule: Schedule
    header: dict[str, Any]
    results: Path
    path: Path
    device: torch.device

    def sizes(self, images: int) -> Sizes:
        """What the state of an attack on so many images must fit."""
        levels, steps = len(self.protocol.eps), self.schedule.steps
        return Sizes(images, levels, steps, self.header["batch_size"])


def task(
    label: Label,
    trained: TrainedModel,
    dataset: Dataset,
    protocol: Protocol,
    results: Path,
    device: torch.device,
    *,
    examples: int,
    batch_size: int,
    backend: str | None = None,
    exhaustive: bool = False,
    randomised: bool = False,
) -> Task:
    """Attacking the model under the protocol, with records under `results`.

    `backend` is `fast` or `reference`, by default the fast one where the algorithm has it;
    `exhaustive` runs its attacks with every saving off. For a network that is said to be
    `randomised`, attacks see means over several passes and verdicts are a vote (`verdicts`);
    unsaid, one that draws random numbers is refused. Raises RbmixError for what a user can mend.
    """
    split = balanced_subset(dataset.test, examples)
    classes = classes_of(trained.model, split, device)
    check_classes(classes, split)
    if randomised:
        protocol = protocols.randomised(protocol)
    schedule = schedule_of(
        protocol, classes, backend, exhaustive=exhaustive, randomised=randomised, images=len(split)
    )
    header = header_of(
        label, trained.header, weights_hash(trained.model), dataset.name, split, protocol,
        batch_size=batch_size, backend=schedule.backend, device=device,
        randomised=DRAWS if randomised else 0,
    )  # fmt: skip
    path = path_of(header, results)
    return Task(trained, dataset, split, protocol, schedule, header, results, path, device)


def recorded(
    label: Label,
    checkpoint: dict[str, Any],
    dataset: Dataset,
    protocol: Protocol,
    results: Path,
    device: torch.device,
    *,
    examples: int,
    batch_size: int,
    backend: str | None = None,
    exhaustive: bool = False,
    randomised: bool = False,
) -> Evaluation | None:
    """The finished run of a network that has this checkpoint, if it is on disk.

    `checkpoint` is the header of it, which says what its weights hash to: the network itself is
    not needed. The other arguments are those of `task`.
    """
    split = balanced_subset(dataset.test, examples)
    if randomised:
        protocol = protocols.randomised(protocol)
    header = header_of(
        label, checkpoint, checkpoint["weights_hash"], dataset.name, split, protocol,
        batch_size=batch_size, device=device, randomised=DRAWS if randomised else 0,
        backend=recorded_backend(
            protocol.algorithm, backend, exhaustive=exhaustive, randomised=randomised
        ),
    )  # fmt: skip
    path = path_of(header, results)
    run = finished(path, header)
    if run is None or "diagnostics" not in run.header or resume.is_left(path):
        return None
    logger.info(f"already evaluated, read {path} (--fresh attacks again)")
    return Evaluation(run, path, reused=True)


def evaluate(task: Task, *, fresh: bool = False) -> Evaluation:
    """Attack every image and write the records.

    A finished run of exactly these settings and versions is read instead, unless `fresh`;
    one that was stopped half-way goes on where it was, and one whose shards are all there is
    joined. Raises RbmixError for what a user can mend.
    """
    with exclusive_lock(task.path):
        run = None if fresh else _kept(task)
        if run is not None:
            return Evaluation(run, task.path, reused=True)
        run = _attacked(task, fresh)
        if aside := records.set_aside(task.path, task.results, run):
            logger.info(f"what other versions or another device gave is kept as {aside}")
        records.write(run, task.path)
        resume.forget(task.path)
    return Evaluation(run, task.path, reused=False)


def attack_shard(task: Task, shard: Shard) -> None:
    """Attack a part of the images, for `evaluate` to join; what is on disk is not done again.

    Raises RbmixError as `evaluate` does.
    """
    rows = shard.rows(len(task.split))
    split = task.split.take(torch.tensor(rows))
    path, sizes = shard.path(task.path), task.sizes(len(rows))
    with exclusive_lock(path):
        if resume.resumed(path, task.header, sizes) is not None:
            return
        _measured(task)
        partial = resume.partial_of(path)
        state = _searched(task, split, partial, resume.resumed(partial, task.header, sizes))
        finished_shard = Saver(path, task.header)
        finished_shard(state)
        finished_shard.flush()
        partial.unlink(missing_ok=True)


def _kept(task: Task) -> Run | None:
    """The finished run if it is on disk, with its diagnostics."""
    if not task.path.exists():
        return None
    run = finished(task.path, task.header)
    if run is None:
        logger.info(
            f"{task.path} was made with other versions or on another device: attacking again"
        )
        return None
    logger.info(f"already evaluated, read {task.path} (--fresh attacks again)")
    if "diagnostics" not in run.header:
        run = _examined(run, task, None)
        records.write(run, task.path)
    resume.forget(task.path)  # of a process that was killed just after writing
    return run


def _attacked(task: Task, fresh: bool) -> Run:
    """Attack every image, from where an unfinished run stopped unless `fresh`."""
    split, seed = task.split, task.header["seed"]
    measured = _measured(task)
    sizes, partial = task.sizes(len(split)), resume.partial_of(task.path)
    state = None
    if not fresh:
        state = resume.resumed(partial, task.header, sizes)
        state = state or resume.joined(task.path, task.header, sizes)
    state = _searched(task, split, partial, state)
    found: dict[str, Any] = {"passes": state.passes, "checked": outcome.checked(state)}
    if audit := findings(state, split, task.schedule.rungs, seed, sizes.levels):
        found["audit"] = audit
    if state.batch_size < sizes.batch_size:
        found["smallest_batch"] = state.batch_size
    concludes = task.schedule.backend == "fast" and bool(task.schedule.rungs)
    run = Run(
        header={**task.header, **found},
        table=outcome.table(split, state, sizes.levels, concludes),
        date=provenance.today(),
        time_seconds={
            "training": float(task.trained.header.get("time_seconds", 0.0)),
            "attacking": state.attack_seconds,
        },
    )
    return _examined(run, task, measured)


def _searched(task: Task, split: Split, partial: Path, state: State | None) -> State:
    """Attack these images to the end, from this state if there is one, which `partial` keeps."""
    if state is not None:
        logger.info(f"going on with the unfinished run {partial}")
    saver = Saver(partial, task.header)
    try:
        return task.schedule.attack(
            task.trained.model, split, task.protocol,
            seed=task.header["seed"], device=task.device, batch_size=task.header["batch_size"],
            state=state, save=saver, description=f"{task.protocol.name} on {len(split)} images",
        )  # fmt: skip
    except KeyboardInterrupt:
        saver.flush()
        raise


def _measured(task: Task) -> Measured:
    """What there is to say of the network before it is attacked, said; it may be refused."""
    measured = sanity_checks.of_network(task.trained.model, task.dataset, task.split, task.device)
    _check_said(measured, said := "randomised" in task.header)
    for name, words in flags.of_network(measured, randomised=said).items():
        logger.info(f"flag {name}: {words} (docs/flags.md)")
    return measured


def _check_said(measured: Measured, said: bool) -> None:
    """Raise RbmixError for a network that draws and was not said to; say so if it does not."""
    if said and not flags.draws(measured):
        logger.info("said to be randomised, but deterministic: two passes of the same images agree")
    if flags.draws(measured) and not said:
        raise flags.unsaid(measured["unrepeatable"] or 0.0)


def _examined(run: Run, task: Task, measured: Measured | None) -> Run:
    """The run with its diagnostics; `measured` is what was known before the attack."""
    model, split, device = task.trained.model, task.split, task.device
    measured = measured or sanity_checks.of_network(model, task.dataset, split, device)
    # Other attacks judge by one pass: of a network that draws, that says nothing about verdicts.
    alone = "randomised" in run.header and flags.draws(measured)
    found: dict[str, Any] = {
        **measured,
        **(
            {} if alone else sanity_checks.of_attacks(model, run, split, device, run.header["seed"])
        ),
        "trained_accuracy": task.trained.header.get("test_accuracy"),
    }
    return replace(run, header={**run.header, "diagnostics": found})
