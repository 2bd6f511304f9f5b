"""The interface of executors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from robustbench_mix.sweeps.scheduler import OnState, RunTask, Task

RunTasks = Callable[[Sequence[Task], RunTask, OnState], list[str]]


@dataclass(frozen=True)
class Executor:
    """An executor, which runs the tasks of a sweep.

    Args:
        run: Runs tasks, and returns the messages of those that failed.
        call: Calls a function where tasks run, and returns its result.
        description: Words for messages, for example `2 workers`.
        capacity: Number of tasks that run at once.
    """

    run: RunTasks
    call: Callable[..., Any]
    description: str
    capacity: int
