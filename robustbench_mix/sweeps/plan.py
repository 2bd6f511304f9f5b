"""The plan of a sweep: which tasks are done, and how long the others take."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from heapq import heappop, heappush
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

import torch

from robustbench_mix.attacks.native import ensembles
from robustbench_mix.config import protocols
from robustbench_mix.config.model import Unshuffler
from robustbench_mix.config.protocols import Protocol
from robustbench_mix.data import loaders
from robustbench_mix.data.dataset import Dataset, Split, balanced_subset
from robustbench_mix.evaluation import explain, resume, unshuffling_run
from robustbench_mix.evaluation import plan as jobs
from robustbench_mix.evaluation.evaluate import default_examples
from robustbench_mix.evaluation.identity import Label, finished, header_of, path_of
from robustbench_mix.evaluation.plan import Training
from robustbench_mix.evaluation.resume import Shard
from robustbench_mix.models import checkpoint as checkpoints
from robustbench_mix.models import factory
from robustbench_mix.runtime.devices import default_batch_size, pick_device
from robustbench_mix.runtime.progress import report_if_slow, silenced
from robustbench_mix.storage import remote
from robustbench_mix.storage.files import check_writable
from robustbench_mix.sweeps import sweep_checks
from robustbench_mix.sweeps.cost_model import CostModel
from robustbench_mix.sweeps.definition import Cell, Sweep, UnshufflingCell
from robustbench_mix.sweeps.scheduler import Scheduler
from robustbench_mix.training.load_or_train import split_and_checkpoint_path
from robustbench_mix.training.resume import has_resume_state

UNSHUFFLING_EXAMPLES = 1000  # test images
ATTACK_KINDS = ("attack", "shard", "explain")  # what a plan counts as attacking
MAX_ATTACK_SECONDS = 3600.0  # of an attack, before it is split


@dataclass(frozen=True)
class Task:
    """One thing to do: train a network, run one attack on it, or un-shuffle.

    An attack that would take longer than an hour is split into tasks of the kind `shard`, and the
    attack that joins them.

    Args:
        kind: `train`, `attack`, `shard`, `explain` or `unshuffle`.
        network: The network, without its seed.
        description: The task, for people.
        cell: The entry of the sweep that it belongs to.
        attack: The protocol of an attack, else ''.
        is_done: Whether its result is on disk.
        estimated_seconds: About how long it takes on this machine, 0 if it is done.
        makes: What it makes for other tasks: the path of a checkpoint, or the name of a shard.
        needs: What must be made before it starts.
        shard: The part of the images that it attacks; None for all of them.
    """

    kind: str
    network: str
    description: str
    cell: Cell | UnshufflingCell
    attack: str
    is_done: bool
    estimated_seconds: float
    makes: str = ""
    needs: tuple[str, ...] = ()
    shard: Shard | None = None


@dataclass(frozen=True)
class SweepSetting:
    """Where and how a sweep runs; `out` is a folder or a URL."""

    out: str
    device: torch.device
    precision: str = "auto"
    quiet: bool = False

    def training(self, cell: Cell | UnshufflingCell) -> Training:
        """What the task changes in the recipe."""
        adversarial = isinstance(cell, Cell) and cell.adversarial
        return Training(
            cell.epochs, cell.train_examples, None, self.precision, adversarial=adversarial
        )


def plan_here(
    sweep: Sweep, out: str, device: str, precision: str, quiet: bool
) -> tuple[SweepSetting, list[Task]]:
    """The plan, and the setting that these words mean on the machine that makes it.

    Raises RbmixError for a bad word, or a folder that cannot be written.
    """
    check_writable(remote.local_folder(out))
    setting = SweepSetting(out, pick_device(device), precision, quiet)
    return setting, plan_tasks(sweep, setting)


def plan_tasks(sweep: Sweep, setting: SweepSetting) -> list[Task]:
    """Return every task, in order; raise RbmixError for a wrong name before anything runs."""
    for cell in sweep.cells:
        check_buildable(cell)
    load = lru_cache(maxsize=None)(loaders.load)
    context = _Context(setting, remote.local_folder(setting.out), CostModel(setting.device))
    tasks: list[Task] = []
    with report_if_slow("planning: what is there, and a few steps of what is not, timed"):
        for cell in sweep.cells:
            tasks += _tasks_of_cell(cell, load(cell.dataset), context)
        tasks += [
            _unshuffling_task(cell, load(cell.dataset), context) for cell in sweep.unshuffling_cells
        ]
    return tasks


def makespan_seconds(tasks: list[Task], at_once: int) -> float:
    """Estimate the seconds until all tasks are done, with `at_once` running at a time."""
    scheduler = Scheduler([task for task in tasks if not task.is_done])
    at_work: list[tuple[float, int, Any]] = []  # by when they end
    now = 0.0
    with silenced():
        while True:
            while len(at_work) < at_once and (taken := scheduler.next_task()):
                estimated_seconds: float = taken[1].estimated_seconds  # type: ignore[attr-defined]
                heappush(at_work, (now + estimated_seconds, *taken))
            if not at_work:
                return now
            now, number, task = heappop(at_work)
            scheduler.finish(number, task)


class _Context(NamedTuple):
    """What all tasks of a plan share."""

    setting: SweepSetting
    results: Path
    costs: CostModel


def check_buildable(cell: Cell) -> None:
    """Raise RbmixError for a model or an attack that does not exist, and for a model of code."""
    sweep_checks.check_cell(cell)
    factory.family(cell.spec.model)


def summarize_by_network(tasks: list[Task]) -> list[dict[str, Any]]:
    """Return a row for each network, over its seeds: tasks done, and seconds of the others."""
    rows: dict[str, dict[str, Any]] = {}
    for task in tasks:
        row = rows.setdefault(
            task.network,
            {"network": task.network, "trained": [0, 0], "attacked": [0, 0], "seconds": 0.0},
        )
        counts = row["attacked" if task.kind in ATTACK_KINDS else "trained"]
        counts[0] += task.is_done
        counts[1] += 1
        row["seconds"] += task.estimated_seconds
    return list(rows.values())


def _tasks_of_cell(cell: Cell, dataset: Dataset, context: _Context) -> Iterator[Task]:
    spec, setting, costs = cell.spec, context.setting, context.costs
    recipe = jobs.recipe_of(spec, dataset.name, setting.training(cell), setting.device)
    split, path = split_and_checkpoint_path(spec, dataset, recipe, cell.train_examples)
    remote.download_checkpoints([path.name], context.results)
    shape = factory.shape_of(dataset)
    network = f"{spec.model}, spatial {spec.spatial}, channel {spec.channel}, {dataset.name}"
    network += ", adversarial" if cell.adversarial else ""
    description = f"{network}, seed {spec.seed}"
    trained = path.exists()
    ready = (
        trained and not has_resume_state(path) and remote.has_checkpoint(path.name, context.results)
    )
    cost = 0.0 if trained else costs.training_seconds(spec, shape, recipe, len(split))
    yield Task("train", network, f"train {description}", cell, "", ready, cost, makes=str(path))
    tested = balanced_subset(dataset.test, cell.examples or default_examples(dataset.name))
    checkpoint = checkpoints.read_header(path) if trained else {}
    for attack in cell.attacks:
        protocol = protocols.load(attack, dataset.name)
        named = f"{protocol.name} on {description}"
        whole = Task("attack", network, named, cell, attack, False, 0.0, needs=(str(path),))
        records, header = Path(), {}
        if trained:
            header = _header(cell, checkpoint, dataset, tested, protocol, setting.device)
            records = path_of(header, context.results)
            if finished(records, header) is not None:
                yield replace(whole, is_done=not resume.is_left(records))
                continue
        cost = costs.attack_seconds(spec, shape, protocol, len(tested))
        most = ceil(len(tested) / default_batch_size(dataset.size, setting.device))
        yield from _split_attack(
            replace(whole, estimated_seconds=cost), protocol, records, header, most
        )
    if cell.explain:
        yield _explanation_task(cell, dataset, tested, network, context)


def _header(
    cell: Cell,
    checkpoint: dict[str, Any],
    dataset: Dataset,
    tested: Split,
    protocol: Protocol,
    device: torch.device,
) -> dict[str, Any]:
    spec = cell.spec
    return header_of(
        Label(spec.model, spec.spatial, spec.channel, spec.seed), checkpoint,
        checkpoint["weights_hash"], dataset.name, tested, protocol,
        batch_size=default_batch_size(dataset.size, device),
        backend="fast" if protocol.algorithm in ensembles.LADDERS else "reference", device=device,
    )  # fmt: skip


def _split_attack(
    whole: Task, protocol: Protocol, records: Path, header: dict[str, Any], most: int
) -> Iterator[Task]:
    """The attack, after its shards if it takes long or was split before.

    `header` is empty before the training; `most` is how many batches there are.
    """
    parts = resume.shards(records) if header else []
    if not parts and whole.estimated_seconds > MAX_ATTACK_SECONDS and _can_be_split(protocol):
        of = min(ceil(whole.estimated_seconds / MAX_ATTACK_SECONDS), most)
        parts = [Shard(number, of) for number in range(1, of + 1)] if of > 1 else []
    shards = []
    for part in parts:
        named = f"part {part.number}/{part.of} of {whole.description}"
        is_done = bool(header) and resume.is_of(part.path(records), header)
        cost = 0.0 if is_done else whole.estimated_seconds / part.of
        shards.append(
            replace(
                whole,
                kind="shard",
                description=named,
                is_done=is_done,
                estimated_seconds=cost,
                makes=named,
                shard=part,
            )
        )
    yield from shards
    cost = 0.0 if shards else whole.estimated_seconds
    yield replace(
        whole, estimated_seconds=cost, needs=(*whole.needs, *(shard.makes for shard in shards))
    )


def _can_be_split(protocol: Protocol) -> bool:
    """Return whether images are independent: none is sampled, and no batch shares draws."""
    if protocol.algorithm not in ensembles.LADDERS:
        return False
    return not any(
        rung.sample for rung in ensembles.ladder(protocol.algorithm, 10, protocol.options)
    )


def _explanation_task(
    cell: Cell, dataset: Dataset, split: Split, network: str, context: _Context
) -> Task:
    """Return the task that measures a network, its twin, and the transfer between them."""
    spec, shape, setting = cell.spec, factory.shape_of(dataset), context.setting
    grid = [one.text for one in protocols.load("fgsm", dataset.name).eps]
    weights: dict[str, dict[str, Any]] = {}
    needs = []
    for mode in dict.fromkeys(("learned", spec.spatial)):
        one = replace(spec, spatial=mode)
        recipe = jobs.recipe_of(one, dataset.name, setting.training(cell), setting.device)
        _, path = split_and_checkpoint_path(one, dataset, recipe, cell.train_examples)
        needs.append(str(path))
        remote.download_checkpoints([path.name], context.results)
        weights[mode] = checkpoints.read_header(path) if path.exists() else {}
    paths = []
    if all(weights.values()):
        hashes = {mode: header["weights_hash"] for mode, header in weights.items()}
        wanted = [("probe", mode, [hashes[mode]]) for mode in weights]
        if len(weights) == 2:
            wanted.append(("transfer", spec.spatial, list(hashes.values())))
        for kind, mode, of in wanted:
            label = Label(spec.model, mode, spec.channel, spec.seed)
            header = explain.header_of(
                kind, label, weights[mode], dataset, split, grid, setting.device
            )
            paths.append(explain.path_of(header, context.results, *of))
    is_done = bool(paths) and all(path.exists() for path in paths)
    cost = 0.0 if is_done else context.costs.explanation_seconds(spec, shape, len(split), len(grid))
    description = f"explain {network}, seed {spec.seed}"
    return Task("explain", network, description, cell, "", is_done, cost, needs=tuple(needs))


def _unshuffling_task(cell: UnshufflingCell, dataset: Dataset, context: _Context) -> Task:
    unshuffler = Unshuffler(
        cell.width,
        cell.depth,
        cell.kernel,
        spatial=cell.spatial,
        seed=cell.seed,
    )
    recipe = jobs.decoder_recipe(
        dataset.name, context.setting.training(cell), context.setting.device
    )
    split, _, path = unshuffling_run.splits_and_path(
        unshuffler,
        dataset,
        recipe,
        context.results,
        cell.train_examples,
        UNSHUFFLING_EXAMPLES,
    )
    shape = factory.shape_of(dataset)
    network = f"{unshuffler.name}, spatial {cell.spatial}, un-shuffling {dataset.name}"
    description = f"{network}, seed {cell.seed}"
    is_done = path.exists() and not has_resume_state(path)
    cost = (
        0.0 if is_done else context.costs.unshuffling_seconds(unshuffler, shape, recipe, len(split))
    )
    return Task("unshuffle", network, description, cell, "", is_done, cost)
