"""The plan of a sweep: which tasks are done, and how long the others take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from heapq import heappop, heappush
from math import ceil
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch

from robustbench_mix.attacks import registry
from robustbench_mix.config.training import adversarial_words
from robustbench_mix.data import loaders
from robustbench_mix.data.dataset import Dataset
from robustbench_mix.evaluation import probe_identity, resume, unshuffling_run
from robustbench_mix.evaluation.attack_plan import AttackPlan
from robustbench_mix.evaluation.evaluate import batch_size_of
from robustbench_mix.evaluation.explain import models_of
from robustbench_mix.evaluation.identity import header_of, path_of, read_finished
from robustbench_mix.evaluation.inputs import Inputs
from robustbench_mix.evaluation.load_model import check_exists, label_of, recipe_of
from robustbench_mix.evaluation.plan import (
    EvaluationPlan,
    ExplanationPlan,
    Plan,
    TrainingPlan,
    UnshufflingPlan,
)
from robustbench_mix.evaluation.resume import Shard
from robustbench_mix.models import factory
from robustbench_mix.models.checkpoint import CheckpointHeader, read_header
from robustbench_mix.results.headers import RunIdentity
from robustbench_mix.runtime.devices import pick_device
from robustbench_mix.runtime.progress import report_if_slow, silenced
from robustbench_mix.storage import remote
from robustbench_mix.storage.files import check_writable
from robustbench_mix.sweeps.cell_plans import CellPlan, SweepPlan
from robustbench_mix.sweeps.cost_model import CostModel
from robustbench_mix.sweeps.scheduler import Scheduler
from robustbench_mix.training.load_or_train import split_and_checkpoint_path
from robustbench_mix.training.resume import has_resume_state

TaskPlan = TrainingPlan | EvaluationPlan | ExplanationPlan | UnshufflingPlan
ATTACK_KINDS = ("attack", "shard", "explain")  # kinds that a plan counts as attacks
MAX_ATTACK_SECONDS = 3600.0  # longest attack that is not split


@dataclass(frozen=True)
class Task:
    """One task: train a network, run one attack on it, explain it, or un-shuffle.

    An attack that would take longer than an hour is split into tasks of the kind `shard` and one
    attack that joins them.

    Args:
        kind: `train`, `attack`, `shard`, `explain` or `unshuffle`.
        network: The network, without its seed.
        description: The task in words.
        plan: What it runs, checked.
        is_done: Whether its result is on disk.
        estimated_seconds: Estimated time on this machine, 0 if it is done.
        makes: Its result for other tasks: the path of a checkpoint, or the name of a shard.
        needs: The results of other tasks that must exist before it starts.
        shard: The part of the images that it attacks; None for all of them.
    """

    kind: str
    network: str
    description: str
    plan: TaskPlan
    is_done: bool
    estimated_seconds: float
    makes: str = ""
    needs: tuple[str, ...] = ()
    shard: Shard | None = None

    @property
    def attack(self) -> str:
        """The protocol that it runs, '' if it is no attack."""
        return self.plan.attack.word if isinstance(self.plan, EvaluationPlan) else ""


@dataclass(frozen=True)
class SweepSetting:
    """The setting in which a sweep runs; `out` is a folder or a URL."""

    out: str
    device: torch.device


def plan_here(sweep: SweepPlan, out: str, device: str) -> tuple[SweepSetting, list[Task]]:
    """Plan the tasks of a sweep on the machine that runs this function.

    Args:
        sweep: The plans of its cells.
        out: The results, a folder or a URL.
        device: Name of the device.

    Raises:
        RbmixError: The device does not exist, or the folder cannot be written.
    """
    check_writable(remote.local_folder(out))
    setting = SweepSetting(out, pick_device(device))
    return setting, plan_tasks(sweep, setting)


def plan_tasks(sweep: SweepPlan, setting: SweepSetting) -> list[Task]:
    """Return every task, in order; raise RbmixError for a network that its library lacks."""
    for cell in sweep.cells:
        check_exists(cell.training.model)
    load = lru_cache(maxsize=None)(loaders.load)
    context = _Context(setting, remote.local_folder(setting.out), CostModel(setting.device), load)
    tasks: list[Task] = []
    with report_if_slow("planning: what is there, and a few steps of what is not, timed"):
        for cell in sweep.cells:
            tasks += _tasks_of_cell(cell, context)
        tasks += [_unshuffling_task(plan, context) for plan in sweep.unshufflings]
    # All tasks run on the device of this plan, or on one of that kind.
    device = str(setting.device)
    return [replace(task, plan=replace(task.plan, device=device)) for task in tasks]


def makespan_seconds(tasks: list[Task], at_once: int) -> float:
    """Estimate the seconds until all tasks are done, with `at_once` running at a time."""
    scheduler = Scheduler([task for task in tasks if not task.is_done])
    at_work: list[tuple[float, int, Any]] = []  # ordered by their end
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
    """Values that all tasks of a plan share."""

    setting: SweepSetting
    results: Path
    costs: CostModel
    load: Callable[[str], Dataset]

    def inputs(self, plan: Plan) -> Inputs:
        """Return the data of a plan, loaded once for all tasks, and the device."""
        word = plan.data.dataset
        dataset = self.load(word) if isinstance(word, str) else word
        return Inputs(dataset, plan.data.count, self.setting.device)


def summarize_by_network(tasks: list[Task]) -> list[dict[str, Any]]:
    """Return a row for each network over its seeds: tasks done, and seconds of the other tasks."""
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


def _tasks_of_cell(cell: CellPlan, context: _Context) -> Iterator[Task]:
    model, inputs, costs = cell.training.model, context.inputs(cell.training), context.costs
    spec, dataset = model.spec, inputs.dataset
    recipe = recipe_of(model, dataset.name, inputs.device)
    split, path = split_and_checkpoint_path(spec, dataset, recipe, model.training.examples)
    remote.download_checkpoints([path.name], context.results)
    shape = factory.shape_of(dataset)
    network = f"{spec.model}, spatial {spec.spatial}, channel {spec.channel}, {dataset.name}"
    network += f", adversarial {adversarial_words(recipe)}" if recipe.perturbation else ""
    description = f"{network}, seed {spec.seed}"
    trained = path.exists()
    ready = (
        trained and not has_resume_state(path) and remote.has_checkpoint(path.name, context.results)
    )
    cost = 0.0 if trained else costs.training_seconds(spec, shape, recipe, len(split))
    words = f"train {description}"
    yield Task("train", network, words, cell.training, ready, cost, makes=str(path))
    checkpoint = read_header(path) if trained else None
    for plan in cell.attacks:
        attack, batch_size = plan.attack, batch_size_of(plan, inputs)
        named = f"{attack.protocol.name} on {description}"
        whole = Task("attack", network, named, plan, False, 0.0, needs=(str(path),))
        records, header = Path(), None
        if checkpoint is not None:
            label, weights = label_of(model), checkpoint.weights_hash
            header = header_of(label, checkpoint, weights, inputs, attack, batch_size)
            records = path_of(header, context.results)
            if read_finished(records, header) is not None:
                yield replace(whole, is_done=not resume.has_resume_state(records))
                continue
        cost = costs.attack_seconds(spec, shape, attack.protocol, len(inputs.split))
        most = ceil(len(inputs.split) / batch_size)
        yield from _split_attack(
            replace(whole, estimated_seconds=cost), attack, records, header, most
        )
    if cell.explanation is not None:
        yield _explanation_task(cell.explanation, inputs, network, context)


def _split_attack(
    whole: Task, attack: AttackPlan, records: Path, header: RunIdentity | None, most: int
) -> Iterator[Task]:
    """Yield the shards of an attack that takes long or was split before, then the attack.

    `header` is None before the training; `most` is the number of batches.
    """
    parts = resume.find_shards(records) if header is not None else []
    if not parts and whole.estimated_seconds > MAX_ATTACK_SECONDS and _can_be_split(attack):
        of = min(ceil(whole.estimated_seconds / MAX_ATTACK_SECONDS), most)
        parts = [Shard(number, of) for number in range(1, of + 1)] if of > 1 else []
    shards = []
    for part in parts:
        named = f"part {part.number}/{part.of} of {whole.description}"
        is_done = header is not None and resume.has_state_of(part.path(records), header)
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


def _can_be_split(attack: AttackPlan) -> bool:
    """Return whether images are independent: none is sampled, and no batch shares draws."""
    if attack.backend != "fast":
        return False
    protocol = attack.protocol
    return not any(
        stage.bound for stage in registry.fast_stages(protocol.algorithm, 10, protocol.options)
    )


def _explanation_task(
    plan: ExplanationPlan, inputs: Inputs, network: str, context: _Context
) -> Task:
    """Return the task that measures a network, its twin, and the transfer between them."""
    spec, dataset = plan.model.spec, inputs.dataset
    weights: dict[str, CheckpointHeader] = {}
    needs = []
    models = {model.spec.spatial: model for model in models_of(plan)}
    for mode, model in models.items():
        recipe = recipe_of(model, dataset.name, inputs.device)
        _, path = split_and_checkpoint_path(model.spec, dataset, recipe, model.training.examples)
        needs.append(str(path))
        remote.download_checkpoints([path.name], context.results)
        if path.exists():
            weights[mode] = read_header(path)
    paths = []
    if len(weights) == len(needs):
        hashes = {mode: header.weights_hash for mode, header in weights.items()}
        wanted: list[tuple[Literal["probe", "transfer"], str, list[str]]] = [
            ("probe", mode, [hashes[mode]]) for mode in weights
        ]
        if len(weights) == 2:
            wanted.append(("transfer", spec.spatial, list(hashes.values())))
        for kind, mode, of in wanted:
            label = label_of(models[mode])
            header = probe_identity.header_of(kind, label, weights[mode], inputs, plan.eps)
            paths.append(probe_identity.path_of(header, context.results, *of))
    is_done = bool(paths) and all(path.exists() for path in paths)
    shape, images, levels = factory.shape_of(dataset), len(inputs.split), len(plan.eps)
    cost = 0.0 if is_done else context.costs.explanation_seconds(spec, shape, images, levels)
    description = f"explain {network}, seed {spec.seed}"
    return Task("explain", network, description, plan, is_done, cost, needs=tuple(needs))


def _unshuffling_task(plan: UnshufflingPlan, context: _Context) -> Task:
    (unshuffler,), inputs = plan.unshufflers, context.inputs(plan)
    recipe = unshuffling_run.recipe_of(plan, inputs)
    split = unshuffling_run.train_split_of(plan, inputs.dataset)
    path = unshuffling_run.path_of(unshuffler, inputs, recipe, split, context.results)
    network = f"{unshuffler.name}, spatial {unshuffler.spatial}, un-shuffling {inputs.dataset.name}"
    description = f"{network}, seed {unshuffler.seed}"
    is_done = path.exists() and not has_resume_state(path)
    shape, costs = factory.shape_of(inputs.dataset), context.costs
    cost = 0.0 if is_done else costs.unshuffling_seconds(unshuffler, shape, recipe, len(split))
    return Task("unshuffle", network, description, plan, is_done, cost)
