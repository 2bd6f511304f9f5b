"""Runs a command again and again, killing it with SIGKILL at random points, until it is done.

    python killing.py FOLDER KILLS -- COMMAND...

`FOLDER/undisturbed` holds what one whole run leaves, `FOLDER/0`, `FOLDER/1` and so on what the
killed ones leave, each a results folder and a cache; prints the number of kills of each round.
Everything is imported once and every run is a fork: most of a run is then work, not starting.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from robustbench_mix.evaluation import resume, sanity_checks
from robustbench_mix.training import resume as resume_state

from robustbench_mix.results import gallery, leaderboard, plots  # noqa: F401  # isort: skip
from robustbench_mix.evaluation import evaluate  # noqa: F401  # isort: skip
from robustbench_mix.sweeps import run as sweeping  # noqa: F401  # isort: skip
from robustbench_mix.cli import main

MOST_ROUNDS = 40


def start(command: list[str], folder: Path, at_write: int = 0) -> int:
    """The process id of a run of the command in its own results folder and cache.

    It kills itself at its `at_write`-th write of a file, with the new file written and not
    yet in place (odd) or just in place (even), if it comes to that.
    """
    folder.mkdir(exist_ok=True)
    child = os.fork()
    if child:
        return child
    os.environ["RBMIX_HOME"] = str(folder / "home")
    os.environ["SOURCE_DATE_EPOCH"] = "1800000000"
    quiet = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    torch.set_num_threads(1)
    # As often as possible, so that there is more to be killed at; diagnostics write nothing.
    sanity_checks.of_attacks = lambda *_: {}
    resume.SAVE_EVERY_SECONDS = resume_state.SAVE_EVERY_SECONDS = 0.0
    if at_write:
        die_at(at_write)
    code = 70
    try:
        code = main([*command, "--out", str(folder / "results")])
    finally:
        os._exit(code)


def die_at(write: int) -> None:
    """Make this process kill itself at a write of a file."""
    put_in_place, writes = Path.replace, iter(range(1, 10**9))

    def replace(self: Path, target: Path) -> Path:
        now = next(writes) == (write + 1) // 2
        if now and write % 2:
            os.kill(os.getpid(), signal.SIGKILL)
        done = put_in_place(self, target)
        if now:
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    Path.replace = replace  # type: ignore[method-assign]


def finished(child: int, seconds: float) -> bool:
    """Whether the process ended by itself within that time; it is killed if not."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, status
            return not os.WIFSIGNALED(status)
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return not os.WIFSIGNALED(status)  # it may have ended just then


def run(folder: Path, kills: int, command: list[str]) -> list[int]:
    """The kills of each round; at least `kills` in all."""
    started = time.monotonic()
    assert finished(start(command, folder / "undisturbed"), 600)
    took = time.monotonic() - started
    draw = random.Random(0)
    rounds: list[int] = []
    while sum(rounds) < kills and len(rounds) < MOST_ROUNDS:
        place = folder / str(len(rounds))
        rounds.append(0)
        while not finished(
            start(command, place, draw.choice((0, 0, 0, 1, 2, 3, 4, 7, 8))),
            # Longer after every kill: a machine that became slower must come to an end too.
            draw.uniform(0, 0.7) * took * (1 + rounds[-1] / 10),
        ):
            rounds[-1] += 1
    return rounds


if __name__ == "__main__":
    _, given, count, _, *words = sys.argv
    print(json.dumps(run(Path(given), int(count), words)))
