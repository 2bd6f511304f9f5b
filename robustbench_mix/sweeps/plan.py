"""The plan of a sweep: what is there, and what is not with about how long it takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from heapq import heappop, heappush
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

import torch

from robustbench_mix.attacks import registry
from robustbench_mix.config import protocols
from robustbench_mix.config.catalog import has_fast
from robustbench_mix.config.protocols import Protocol
from robustbench_mix.config.specs import Decoder
from robustbench_mix.data import loaders
from robustbench_mix.data.dataset import Dataset, Split, balanced
from robustbench_mix.evaluation import explain, resume, unshuffling_run
from robustbench_mix.evaluation import plan as jobs
from robustbench_mix.evaluation.evaluate import default_examples
from robustbench_mix.evaluation.identity import Label, finished, header_of, path_of
from robustbench_mix.evaluation.plan import Training
from robustbench_mix.evaluation.resume import Shard
from robustbench_mix.models import checkpoint as checkpoints
from robustbench_mix.models import factory
from robustbench_mix.runtime.devices import fitting_batch, pick_device
from robustbench_mix.runtime.progress import doing, silenced
from robustbench_mix.storage import remote
from robustbench_mix.storage.files import check_writable
from robustbench_mix.sweeps import sweep_checks
from robustbench_mix.sweeps.cost_model import Costs
from robustbench_mix.sweeps.definition import Cell, Puzzle, Sweep
from robustbench_mix.sweeps.scheduler import Agenda
from robustbench_mix.training.load_or_train import place
from robustbench_mix.training.resume import is_left

UNSHUFFLED = 1000  # test images of an un-shuffling
ATTACKS = ("attack", "shard", "explain")  # what a plan counts as attacking
LONGEST_SECONDS = 3600.0  # of an attack, before it is split


@dataclass(frozen=True)
class Piece:
    """One thing to do: train a network, run one attack on it, or un-shuffle.

    `network` names it without its seed; `seconds` is about what it will take here, 0 for
    what is on disk. `makes` and `needs` are paths of checkpoints, or words for shards: what this
    piece gives, and what should be there before it starts. An attack that would take longer than
    an hour is split: pieces of the kind `shard`, and the attack that joins them.
    """

    kind: str
    network: str
    words: str
    task: Cell | Puzzle
    attack: str
    done: bool
    seconds: float
    makes: str = ""
    needs: tuple[str, ...] = ()
    shard: Shard | None = None


@dataclass(frozen=True)
class Setting:
    """Where and how a sweep runs; `out` is a folder or a URL."""

    out: str
    device: torch.device
    precision: str = "auto"
    quiet: bool = False

    def training(self, task: Cell | Puzzle) -> Training:
        """What the task changes in the recipe."""
        adversarial = isinstance(task, Cell) and task.adversarial
        return Training(
            task.epochs, task.train_examples, None, self.precision, adversarial=adversarial
        )


def planned(
    sweep: Sweep, out: str, device: str, precision: str, quiet: bool
) -> tuple[Setting, list[Piece]]:
    """The plan, and the setting that these words mean on the machine that makes it.

    Raises RbmixError for a bad word, or a folder that cannot be written.
    """
    check_writable(remote.folder(out))
    setting = Setting(out, pick_device(device), precision, quiet)
    return setting, plan(sweep, setting)


def plan(sweep: Sweep, setting: Setting) -> list[Piece]:
    """Every piece, in order; raises RbmixError for a name that is wrong before anything runs."""
    for cell in sweep.cells:
        check(cell)
    load = lru_cache(maxsize=None)(loaders.load)
    about = _About(setting, remote.folder(setting.out), Costs(setting.device))
    pieces: list[Piece] = []
    with doing("planning: what is there, and a few steps of what is not, timed"):
        for cell in sweep.cells:
            pieces += _of_cell(cell, load(cell.dataset), about)
        for puzzle in sweep.puzzles:
            pieces.append(_of_puzzle(puzzle, load(puzzle.dataset), about))
    return pieces


def makespan(pieces: list[Piece], at_once: int) -> float:
    """Seconds until everything is done with so many at a time, begun in the order of the plan."""
    agenda = Agenda([piece for piece in pieces if not piece.done])
    at_work: list[tuple[float, int, Any]] = []  # by when they end
    now = 0.0
    with silenced():
        while True:
            while len(at_work) < at_once and (taken := agenda.take()):
                seconds: float = taken[1].seconds  # type: ignore[attr-defined]
                heappush(at_work, (now + seconds, *taken))
            if not at_work:
                return now
            now, number, piece = heappop(at_work)
            agenda.done(number, piece)


class _About(NamedTuple):
    """What all pieces have in common."""

    setting: Setting
    results: Path
    costs: Costs


def check(cell: Cell) -> None:
    """Raises RbmixError for a model or an attack that does not exist, and for a model of code."""
    sweep_checks.check_cell(cell)
    factory.family(cell.spec.model)


def summary(pieces: list[Piece]) -> list[dict[str, Any]]:
    """One row for each network, over its seeds: how much is done, how long the rest takes."""
    rows: dict[str, dict[str, Any]] = {}
    for piece in pieces:
        row = rows.setdefault(
            piece.network,
            {"network": piece.network, "trained": [0, 0], "attacked": [0, 0], "seconds": 0.0},
        )
        counts = row["attacked" if piece.kind in ATTACKS else "trained"]
        counts[0] += piece.done
        counts[1] += 1
        row["seconds"] += piece.seconds
    return list(rows.values())


def _of_cell(cell: Cell, dataset: Dataset, about: _About) -> Iterator[Piece]:
    spec, setting, costs = cell.spec, about.setting, about.costs
    recipe = jobs.recipe_of(spec, dataset.name, setting.training(cell), setting.device)
    split, path = place(spec, dataset, recipe, cell.train_examples)
    remote.bring([path.name], about.results)
    shape = factory.shape_of(dataset)
    network = f"{spec.model}, spatial {spec.spatial}, channel {spec.channel}, {dataset.name}"
    network += ", adversarial" if cell.adversarial else ""
    words = f"{network}, seed {spec.seed}"
    trained = path.exists()
    ready = trained and not is_left(path) and remote.holds(path.name, about.results)
    cost = 0.0 if trained else costs.training(spec, shape, recipe, len(split))
    yield Piece("train", network, f"train {words}", cell, "", ready, cost, makes=str(path))
    tested = balanced(dataset.test, cell.examples or default_examples(dataset.name))
    checkpoint = checkpoints.read_header(path) if trained else {}
    for attack in cell.attacks:
        protocol = protocols.load(attack, dataset.name)
        named = f"{protocol.name} on {words}"
        whole = Piece("attack", network, named, cell, attack, False, 0.0, needs=(str(path),))
        records, header = Path(), {}
        if trained:
            header = _header(cell, checkpoint, dataset, tested, protocol, setting.device)
            records = path_of(header, about.results)
            if finished(records, header) is not None:
                yield replace(whole, done=not resume.is_left(records))
                continue
        cost = costs.attack(spec, shape, protocol, len(tested))
        most = ceil(len(tested) / fitting_batch(dataset.size, setting.device))
        yield from _split(replace(whole, seconds=cost), protocol, records, header, most)
    if cell.explain:
        yield _explained(cell, dataset, tested, network, about)


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
        batch_size=fitting_batch(dataset.size, device),
        backend="fast" if has_fast(protocol.algorithm) else "reference", device=device,
    )  # fmt: skip


def _split(
    whole: Piece, protocol: Protocol, records: Path, header: dict[str, Any], most: int
) -> Iterator[Piece]:
    """The attack, after its shards if it takes long or was split before.

    `header` is empty before the training; `most` is how many batches there are.
    """
    parts = resume.shards(records) if header else []
    if not parts and whole.seconds > LONGEST_SECONDS and _can_be_split(protocol):
        of = min(ceil(whole.seconds / LONGEST_SECONDS), most)
        parts = [Shard(number, of) for number in range(1, of + 1)] if of > 1 else []
    shards = []
    for part in parts:
        named = f"part {part.number}/{part.of} of {whole.words}"
        done = bool(header) and resume.is_of(part.path(records), header)
        cost = 0.0 if done else whole.seconds / part.of
        shards.append(
            replace(
                whole, kind="shard", words=named, done=done, seconds=cost, makes=named, shard=part
            )
        )
    yield from shards
    cost = 0.0 if shards else whole.seconds
    yield replace(whole, seconds=cost, needs=(*whole.needs, *(shard.makes for shard in shards)))


def _can_be_split(protocol: Protocol) -> bool:
    """Whether images do not depend on each other: neither on a sample, nor on a batch's draws."""
    if not has_fast(protocol.algorithm):
        return False
    return not any(
        stage.sample for stage in registry.fast_stages(protocol.algorithm, 10, protocol.options)
    )


def _explained(cell: Cell, dataset: Dataset, split: Split, network: str, about: _About) -> Piece:
    """Measuring a network, its twin, and the transfer between them, as one piece."""
    spec, shape, setting = cell.spec, factory.shape_of(dataset), about.setting
    grid = [one.text for one in protocols.load("fgsm", dataset.name).eps]
    weights: dict[str, dict[str, Any]] = {}
    needs = []
    for mode in dict.fromkeys(("learned", spec.spatial)):
        one = replace(spec, spatial=mode)
        recipe = jobs.recipe_of(one, dataset.name, setting.training(cell), setting.device)
        _, path = place(one, dataset, recipe, cell.train_examples)
        needs.append(str(path))
        remote.bring([path.name], about.results)
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
            paths.append(explain.path_of(header, about.results, *of))
    done = bool(paths) and all(path.exists() for path in paths)
    cost = 0.0 if done else about.costs.explaining(spec, shape, len(split), len(grid))
    words = f"explain {network}, seed {spec.seed}"
    return Piece("explain", network, words, cell, "", done, cost, needs=tuple(needs))


def _of_puzzle(puzzle: Puzzle, dataset: Dataset, about: _About) -> Piece:
    decoder = Decoder(
        puzzle.width, puzzle.depth, puzzle.kernel, spatial=puzzle.spatial, seed=puzzle.seed
    )
    recipe = jobs.decoder_recipe(dataset.name, about.setting.training(puzzle), about.setting.device)
    split, _, path = unshuffling_run.place(
        decoder, dataset, recipe, about.results, puzzle.train_examples, UNSHUFFLED
    )
    shape = factory.shape_of(dataset)
    network = f"{decoder.name}, spatial {puzzle.spatial}, un-shuffling {dataset.name}"
    words = f"{network}, seed {puzzle.seed}"
    done = path.exists() and not is_left(path)
    cost = 0.0 if done else about.costs.unshuffling(decoder, shape, recipe, len(split))
    return Piece("unshuffle", network, words, puzzle, "", done, cost)
