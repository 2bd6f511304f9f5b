"""Running a sweep: a plan of what is there and what is not, then what is missing.

Every finished piece is on disk, so that a second call does only what is missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import torch

from robustbench_mix import checkpoints, data, jobs, probing, protocols, sources, zoo
from robustbench_mix import unshuffle as shuffling
from robustbench_mix.algorithms import ladders
from robustbench_mix.costs import Costs
from robustbench_mix.devices import fitting_batch, pick_device
from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation import default_examples
from robustbench_mix.files import check_writable
from robustbench_mix.grids import Cell, Puzzle, Sweep
from robustbench_mix.identity import Label, finished, header_of, path_of
from robustbench_mix.jobs import Training
from robustbench_mix.obtain import place
from robustbench_mix.runners import Runner, in_turn
from robustbench_mix.splits import Dataset, Split, balanced
from robustbench_mix.unfinished import is_left
from robustbench_mix.unshuffle import Decoder

UNSHUFFLED = 1000  # test images of an un-shuffling


@dataclass(frozen=True)
class Piece:
    """One thing to do: train a network, run one attack on it, or un-shuffle.

    `network` names it without its seed; `seconds` is about what it will take here, 0 for
    what is on disk. `makes` and `needs` are paths of checkpoints: what this piece trains, and
    what should be there before it starts.
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


@dataclass(frozen=True)
class Setting:
    """Where and how a sweep runs."""

    results: Path
    device: torch.device
    precision: str = "auto"
    quiet: bool = False

    def training(self, task: Cell | Puzzle) -> Training:
        """What the task changes in the recipe."""
        adversarial = isinstance(task, Cell) and task.adversarial
        return Training(
            task.epochs, task.train_examples, None, self.precision, adversarial=adversarial
        )


def setting(results: Path, device: str, precision: str, quiet: bool = False) -> Setting:
    """A setting from words; raises RbmixError for a bad one or a folder that cannot be written."""
    check_writable(results)
    return Setting(results, pick_device(device), precision, quiet)


def plan(sweep: Sweep, setting: Setting) -> list[Piece]:
    """Every piece, in order; raises RbmixError for a name that is wrong before anything runs."""
    for cell in sweep.cells:
        check(cell)
    load = lru_cache(maxsize=None)(data.load)
    costs = Costs(setting.device)
    pieces: list[Piece] = []
    for cell in sweep.cells:
        pieces += _of_cell(cell, load(cell.dataset), setting, costs)
    for puzzle in sweep.puzzles:
        pieces.append(_of_puzzle(puzzle, load(puzzle.dataset), setting, costs))
    return pieces


def check(cell: Cell) -> None:
    """Raises RbmixError for a model or an attack that does not exist, and for a model of code.

    A sweep may come from anybody: it names no module that is then imported.
    """
    word = cell.spec.model
    if sources.parse(word).is_code:
        raise RbmixError(
            f"model {word!r} is code, which no sweep imports: `rbmix evaluate --model`"
        )
    zoo.family(word)
    for attack in cell.attacks:
        protocols.load(attack, "")


def run(pieces: list[Piece], setting: Setting, runner: Runner = in_turn) -> list[str]:
    """Do what is not done; the messages of pieces that failed, the others are finished."""
    return runner([piece for piece in pieces if not piece.done], partial(_do, setting=setting))


def summary(pieces: list[Piece]) -> list[dict[str, Any]]:
    """One row for each network, over its seeds: how much is done, how long the rest takes."""
    rows: dict[str, dict[str, Any]] = {}
    for piece in pieces:
        row = rows.setdefault(
            piece.network,
            {"network": piece.network, "trained": [0, 0], "attacked": [0, 0], "seconds": 0.0},
        )
        counts = row["attacked" if piece.kind in ("attack", "explain") else "trained"]
        counts[0] += piece.done
        counts[1] += 1
        row["seconds"] += piece.seconds
    return list(rows.values())


def to_json(pieces: list[Piece], failures: list[str], written: list[Path]) -> dict[str, Any]:
    """The plan, what failed and what was written, as plain values."""
    planned = [
        {"kind": p.kind, "words": p.words, "done": p.done, "seconds": p.seconds} for p in pieces
    ]
    return {"pieces": planned, "failures": failures, "paths": [str(path) for path in written]}


def _do(piece: Piece, setting: Setting) -> None:
    task, training = piece.task, setting.training(piece.task)
    if isinstance(task, Puzzle):
        jobs.unshuffle(
            widths=[task.width], depths=[task.depth], kernels=[task.kernel], patch=1,
            spatial=[task.spatial], seed=task.seed, dataset=task.dataset, examples=UNSHUFFLED,
            results=setting.results, training=training, device=str(setting.device),
            quiet=setting.quiet,
        )  # fmt: skip
        return
    spec = task.spec
    if piece.kind == "train":
        jobs.train(
            model=spec.model, spatial=spec.spatial, channel=spec.channel, seed=spec.seed,
            dataset=task.dataset, training=training, device=str(setting.device),
            quiet=setting.quiet,
        )  # fmt: skip
        return
    if piece.kind == "explain":
        jobs.explain(
            model=spec.model, spatial=spec.spatial, channel=spec.channel, seed=spec.seed,
            dataset=task.dataset, examples=task.examples, eps=None, results=setting.results,
            training=training, device=str(setting.device), quiet=setting.quiet,
        )  # fmt: skip
        return
    jobs.evaluate(
        model=spec.model, spatial=spec.spatial, channel=spec.channel, seed=spec.seed,
        dataset=task.dataset, attack=piece.attack, eps=None, norm=None, examples=task.examples,
        batch_size=None, weights=None, results=setting.results, training=training,
        device=str(setting.device), quiet=setting.quiet,
    )  # fmt: skip


def _of_cell(cell: Cell, dataset: Dataset, setting: Setting, costs: Costs) -> Iterator[Piece]:
    spec = cell.spec
    recipe = jobs.recipe_of(spec, dataset.name, setting.training(cell), setting.device)
    split, path = place(spec, dataset, recipe, cell.train_examples)
    shape = zoo.shape_of(dataset)
    network = f"{spec.model}, spatial {spec.spatial}, channel {spec.channel}, {dataset.name}"
    network += ", adversarial" if cell.adversarial else ""
    words = f"{network}, seed {spec.seed}"
    trained = path.exists()
    made = str(path)
    ready = trained and not is_left(path)
    cost = 0.0 if trained else costs.training(spec, shape, recipe, len(split))
    yield Piece("train", network, f"train {words}", cell, "", ready, cost, makes=made)
    tested = balanced(dataset.test, cell.examples or default_examples(dataset.name))
    checkpoint = checkpoints.read_header(path) if trained else {}
    for attack in cell.attacks:
        protocol = protocols.load(attack, dataset.name)
        done = False
        if trained:
            fast = protocol.algorithm in ladders.LADDERS
            header = header_of(
                Label(spec.model, spec.spatial, spec.channel, spec.seed), checkpoint,
                checkpoint["weights_hash"], dataset.name, tested, protocol,
                batch_size=fitting_batch(dataset.size, setting.device),
                backend="fast" if fast else "reference", device=setting.device,
            )  # fmt: skip
            records = path_of(header, setting.results)
            done = finished(records, header) is not None and not is_left(records)
        cost = 0.0 if done else costs.attack(spec, shape, protocol, len(tested))
        named = f"{protocol.name} on {words}"
        yield Piece("attack", network, named, cell, attack, done, cost, needs=(made,))
    if cell.explain:
        yield _explained(cell, dataset, tested, setting, network, costs)


def _explained(
    cell: Cell, dataset: Dataset, split: Split, setting: Setting, network: str, costs: Costs
) -> Piece:
    """Measuring a network, its twin, and the transfer between them, as one piece."""
    spec, shape = cell.spec, zoo.shape_of(dataset)
    grid = [one.text for one in protocols.load("fgsm", dataset.name).eps]
    weights: dict[str, dict[str, Any]] = {}
    needs = []
    for mode in dict.fromkeys(("learned", spec.spatial)):
        one = replace(spec, spatial=mode)
        recipe = jobs.recipe_of(one, dataset.name, setting.training(cell), setting.device)
        _, path = place(one, dataset, recipe, cell.train_examples)
        needs.append(str(path))
        weights[mode] = checkpoints.read_header(path) if path.exists() else {}
    paths = []
    if all(weights.values()):
        hashes = {mode: header["weights_hash"] for mode, header in weights.items()}
        wanted = [("probe", mode, [hashes[mode]]) for mode in weights]
        if len(weights) == 2:
            wanted.append(("transfer", spec.spatial, list(hashes.values())))
        for kind, mode, of in wanted:
            label = Label(spec.model, mode, spec.channel, spec.seed)
            header = probing.header_of(
                kind, label, weights[mode], dataset, split, grid, setting.device
            )
            paths.append(probing.path_of(header, setting.results, *of))
    done = bool(paths) and all(path.exists() for path in paths)
    cost = 0.0 if done else costs.explaining(spec, shape, len(split), len(grid))
    words = f"explain {network}, seed {spec.seed}"
    return Piece("explain", network, words, cell, "", done, cost, needs=tuple(needs))


def _of_puzzle(puzzle: Puzzle, dataset: Dataset, setting: Setting, costs: Costs) -> Piece:
    decoder = Decoder(
        puzzle.width, puzzle.depth, puzzle.kernel, spatial=puzzle.spatial, seed=puzzle.seed
    )
    recipe = jobs.decoder_recipe(dataset.name, setting.training(puzzle), setting.device)
    split, _, path = shuffling.place(
        decoder, dataset, recipe, setting.results, puzzle.train_examples, UNSHUFFLED
    )
    shape = zoo.shape_of(dataset)
    network = f"{decoder.name}, spatial {puzzle.spatial}, un-shuffling {dataset.name}"
    words = f"{network}, seed {puzzle.seed}"
    done = path.exists() and not is_left(path)
    cost = 0.0 if done else costs.unshuffling(decoder, shape, recipe, len(split))
    return Piece("unshuffle", network, words, puzzle, "", done, cost)
