"""Who does the pieces of a sweep: this process, several on this machine, or a Ray cluster.

A runner takes pieces and what to do with one, and gives back what failed. A piece starts when
nothing that it needs is still to be made; where something it needs could not be made, it fails
without being tried. Whatever fails, the others go on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch

from robustbench_mix.config.command_checks import check_runner
from robustbench_mix.sweeps.executors.base import Executor
from robustbench_mix.sweeps.executors.processes import VISIBLE_DEVICES, run_in_processes
from robustbench_mix.sweeps.scheduler import (
    OnState,
    RunTask,
    Scheduler,
    Task,
    ignore_state,
    try_task,
)


@contextmanager
def open_executor(
    name: str, *, workers: int | None = None, address: str | None = None, device: str = "auto"
) -> Iterator[Executor]:
    """The runner of this name for the block; nothing that it started is left afterwards.

    `workers` is how many pieces are done at once; unless given, one on this machine, or one for
    each of its GPUs where `device` is not one of them; on a cluster as many as it has room for.
    Raises RbmixError for what does not exist or does not go together.
    """
    check_runner(name, workers, address)
    if name == "ray":
        from robustbench_mix.sweeps.executors.ray_cluster import connect

        with connect(address, workers, device) as found:
            yield found
        return
    yield local_executor(workers, visible_gpus(device))


def local_executor(workers: int | None = None, cards: Sequence[str] = ()) -> Executor:
    """Pieces are done on this machine, on the GPUs of these numbers where there are several."""
    count = workers or max(len(cards), 1)
    run = run_in_turn if count == 1 else partial(run_in_processes, workers=count, cards=cards)
    words = f"{count} {'workers' if count > 1 else 'process'}"
    return Executor(run, lambda function, *args: function(*args), words, count)


def visible_gpus(device: str) -> list[str]:
    """The numbers of the GPUs that `device` leaves to choose from, if there are several.

    Where `CUDA_VISIBLE_DEVICES` is set, what it holds.
    """
    if device not in ("auto", "cuda") or not torch.cuda.is_available():
        return []
    count = torch.cuda.device_count()
    visible = [one for one in os.environ.get(VISIBLE_DEVICES, "").split(",") if one]
    return (visible[:count] or [str(one) for one in range(count)]) if count > 1 else []


def run_in_turn(
    tasks: Sequence[Task], run_task: RunTask, on_state: OnState = ignore_state
) -> list[str]:
    """Do the pieces one after the other, in this process."""
    scheduler = Scheduler(tasks, on_state)
    while taken := scheduler.next_task():
        number, task = taken
        scheduler.finish(number, task, try_task(run_task, task))
    return scheduler.failures
