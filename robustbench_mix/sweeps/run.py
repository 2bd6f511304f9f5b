"""Doing what a sweep's plan says is missing.

Every finished piece is on disk, so that a second call does only what is missing.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from robustbench_mix import jobs, mirrors
from robustbench_mix.agenda import Note, unnoted
from robustbench_mix.grids import Puzzle
from robustbench_mix.planning import UNSHUFFLED, Piece, Setting
from robustbench_mix.runner import Runner


def run(pieces: list[Piece], setting: Setting, runner: Runner, note: Note = unnoted) -> list[str]:
    """Do what is not done; the messages of pieces that failed, the others are finished."""
    missing = [piece for piece in pieces if not piece.done]
    return runner.run(missing, partial(_do, setting=setting), note)


def to_json(pieces: list[Piece], failures: list[str], written: list[Path]) -> dict[str, Any]:
    """The plan, what failed and what was written, as plain values."""
    planned = [
        {"kind": p.kind, "words": p.words, "done": p.done, "seconds": p.seconds} for p in pieces
    ]
    return {"pieces": planned, "failures": failures, "paths": [str(path) for path in written]}


def _do(piece: Piece, setting: Setting) -> None:
    """Do a piece on whatever machine this is, with what it needs from where the results are."""
    results = mirrors.folder(setting.out)
    # Caches lie elsewhere on other machines: of a checkpoint's path, the name counts.
    mirrors.bring((Path(one).name for one in piece.needs), results)
    _work(piece, setting, results)
    if piece.kind == "train":
        mirrors.give(Path(piece.makes).name, results)


def _work(piece: Piece, setting: Setting, results: Path) -> None:
    task = piece.task
    common: dict[str, Any] = {
        "dataset": task.dataset, "training": setting.training(task),
        "device": str(setting.device), "quiet": setting.quiet,
    }  # fmt: skip
    if isinstance(task, Puzzle):
        jobs.unshuffle(
            widths=[task.width], depths=[task.depth], kernels=[task.kernel], patch=1,
            spatial=[task.spatial], seed=task.seed, examples=UNSHUFFLED, results=results, **common,
        )  # fmt: skip
        return
    spec = task.spec
    common |= {
        "model": spec.model, "spatial": spec.spatial, "channel": spec.channel, "seed": spec.seed
    }  # fmt: skip
    if piece.kind == "train":
        jobs.train(**common)
        return
    common |= {"examples": task.examples, "results": results}
    if piece.kind == "explain":
        jobs.explain(eps=None, **common)
    elif piece.shard is not None:
        jobs.attack_shard(attack=piece.attack, shard=piece.shard, **common)
    else:
        jobs.evaluate(
            attack=piece.attack, eps=None, norm=None, batch_size=None, weights=None, **common
        )
