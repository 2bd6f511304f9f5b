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
from robustbench_mix.sweeps.executors.processes import run_in_processes


@dataclass(frozen=True)
class Task:
    """What `do` does with it: `write`, `nothing`, `card`, `wait`, or a way to fail below."""

    description: str
    act: str = "write"
    makes: str = ""
    needs: tuple[str, ...] = ()


def do(task: Task, folder: Path) -> None:
    """Leave a file that says when, where and with how many threads this was done."""
    if task.act == "nothing":
        return
    (folder / f"{task.description}.pid").write_text(str(os.getpid()))
    if task.act == "wait":  # until somebody says `go`; who is asked again need not
        with (folder / f"{task.description}.starts").open("a") as starts:
            starts.write("start\n")
        while not (folder / "go").exists():
            time.sleep(0.05)
    started = time.monotonic()
    if task.act == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if task.act == "fail":
        raise RbmixError("it is too small")
    if task.act == "memory":
        raise MemoryError
    if task.act == "card":
        time.sleep(0.5)  # so that the other worker takes the other task
        (folder / task.description).write_text(os.environ.get("CUDA_VISIBLE_DEVICES", "none"))
        return
    if task.act == "raise":
        raise ValueError("a bug")
    time.sleep(600 if task.act == "sleep" else 0.05)
    description = f"{started} {time.monotonic()} {os.getpid()} {torch.get_num_threads()}"
    (folder / task.description).write_text(description)


if __name__ == "__main__":
    sleepers = [Task(description, "sleep") for description in "ab"]
    run_in_processes(sleepers, partial(do, folder=Path(sys.argv[1])), workers=2)
