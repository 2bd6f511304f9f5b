"""Choose the executor of a sweep: this process, several on this machine, or a Ray cluster.

A task starts when all its inputs exist. If an input could not be made, the task fails without being
tried. The other tasks continue.
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
    """Yield the executor of this name; no process that it started is left after the block.

    Args:
        name: `local` or `ray`.
        workers: Number of tasks that run at once. The default is one on this machine, or one for
            each of its GPUs unless `device` names one; on a cluster, as many as fit.
        address: The address of a Ray cluster.
        device: The device of the tasks.

    Raises:
        RbmixError: Something does not exist, or options contradict each other.
    """
    check_runner(name, workers, address)
    if name == "ray":
        from robustbench_mix.sweeps.executors.ray_cluster import connect

        with connect(address, workers, device) as found:
            yield found
        return
    yield local_executor(workers, visible_gpus(device))


def local_executor(workers: int | None = None, cards: Sequence[str] = ()) -> Executor:
    """Return an executor on this machine.

    Args:
        workers: Number of tasks that run at once; None takes one, or one for each of `cards`.
        cards: The numbers of the GPUs, if there are several.
    """
    count = workers or max(len(cards), 1)
    run = run_in_turn if count == 1 else partial(run_in_processes, workers=count, cards=cards)
    words = f"{count} {'workers' if count > 1 else 'process'}"
    return Executor(run, lambda function, *args: function(*args), words, count)


def visible_gpus(device: str) -> list[str]:
    """Return the numbers of the GPUs that `device` allows, if there are several.

    If `CUDA_VISIBLE_DEVICES` is set, they are its entries.
    """
    if device not in ("auto", "cuda") or not torch.cuda.is_available():
        return []
    count = torch.cuda.device_count()
    visible = [one for one in os.environ.get(VISIBLE_DEVICES, "").split(",") if one]
    return (visible[:count] or [str(one) for one in range(count)]) if count > 1 else []


def run_in_turn(
    tasks: Sequence[Task], run_task: RunTask, on_state: OnState = ignore_state
) -> list[str]:
    """Run the tasks one after the other in this process.

    Args:
        tasks: The tasks.
        run_task: Runs a task; raises RbmixError if it fails.
        on_state: Called whenever a task starts, ends or fails.

    Returns:
        The messages of the tasks that failed.
    """
    scheduler = Scheduler(tasks, on_state)
    while taken := scheduler.next_task():
        number, task = taken
        scheduler.finish(number, task, try_task(run_task, task))
    return scheduler.failures
