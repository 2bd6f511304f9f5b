"""Pieces for worker processes to do: small enough for tests, and some of them fatal."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from robustbench_mix.errors import RbmixError
from robustbench_mix.sweeps.executors.processes import in_processes


@dataclass(frozen=True)
class Piece:
    """What `do` does with it: `write`, `nothing`, `card`, `wait`, or a way to fail below."""

    words: str
    act: str = "write"
    makes: str = ""
    needs: tuple[str, ...] = ()


def do(piece: Piece, folder: Path) -> None:
    """Leave a file that says when, where and with how many threads this was done."""
    if piece.act == "nothing":
        return
    (folder / f"{piece.words}.pid").write_text(str(os.getpid()))
    if piece.act == "wait":  # until somebody says `go`; who is asked again need not
        with (folder / f"{piece.words}.starts").open("a") as starts:
            starts.write("start\n")
        while not (folder / "go").exists():
            time.sleep(0.05)
    started = time.monotonic()
    if piece.act == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if piece.act == "fail":
        raise RbmixError("it is too small")
    if piece.act == "memory":
        raise MemoryError
    if piece.act == "card":
        time.sleep(0.5)  # so that the other worker takes the other piece
        (folder / piece.words).write_text(os.environ.get("CUDA_VISIBLE_DEVICES", "none"))
        return
    if piece.act == "raise":
        raise ValueError("a bug")
    time.sleep(600 if piece.act == "sleep" else 0.05)
    words = f"{started} {time.monotonic()} {os.getpid()} {torch.get_num_threads()}"
    (folder / piece.words).write_text(words)


if __name__ == "__main__":
    sleepers = [Piece(words, "sleep") for words in "ab"]
    in_processes(sleepers, partial(do, folder=Path(sys.argv[1])), workers=2)
