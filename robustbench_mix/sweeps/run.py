"""Doing what a sweep's plan says is missing.

Every finished piece is on disk, so that a second call does only what is missing.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from robustbench_mix.evaluation import plan
from robustbench_mix.storage import remote
from robustbench_mix.sweeps.definition import Puzzle
from robustbench_mix.sweeps.executors.base import Runner
from robustbench_mix.sweeps.plan import UNSHUFFLED, Piece, Setting
from robustbench_mix.sweeps.scheduler import Note, unnoted


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
    results = remote.folder(setting.out)
    # Caches lie elsewhere on other machines: of a checkpoint's path, the name counts.
    remote.bring((Path(one).name for one in piece.needs), results)
    _work(piece, setting, results)
    if piece.kind == "train":
        remote.give(Path(piece.makes).name, results)


def _work(piece: Piece, setting: Setting, results: Path) -> None:
    task = piece.task
    common: dict[str, Any] = {
        "dataset": task.dataset, "training": setting.training(task),
        "device": str(setting.device), "quiet": setting.quiet,
    }  # fmt: skip
    if isinstance(task, Puzzle):
        plan.unshuffle(
            widths=[task.width], depths=[task.depth], kernels=[task.kernel], patch=1,
            spatial=[task.spatial], seed=task.seed, examples=UNSHUFFLED, results=results, **common,
        )  # fmt: skip
        return
    spec = task.spec
    common |= {
        "model": spec.model, "spatial": spec.spatial, "channel": spec.channel, "seed": spec.seed
    }  # fmt: skip
    if piece.kind == "train":
        plan.train(**common)
        return
    common |= {"examples": task.examples, "results": results}
    if piece.kind == "explain":
        plan.explain(eps=None, **common)
    elif piece.shard is not None:
        plan.attack_shard(attack=piece.attack, shard=piece.shard, **common)
    else:
        plan.evaluate(
            attack=piece.attack, eps=None, norm=None, batch_size=None, weights=None, **common
        )
