"""Decide which task of a sweep starts next, and collect what failed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from graphlib import TopologicalSorter
from heapq import heappop, heappush
from typing import Any, Protocol

from robustbench_mix.errors import RbmixError, is_out_of_memory

logger = logging.getLogger(__name__)

STATES = ("waiting", "at work", "interrupted", "done", "failed")
WAITING, RUNNING, INTERRUPTED, DONE, FAILED = STATES


class Task(Protocol):
    """A task, as `plan.Task`.

    `makes` names its result for other tasks ('' if there is none), `needs` the results of other
    tasks that must exist first.
    """

    @property
    def description(self) -> str: ...
    @property
    def makes(self) -> str: ...
    @property
    def needs(self) -> tuple[str, ...]: ...


RunTask = Callable[[Any], None]  # runs a task; raises RbmixError if it fails
OnState = Callable[[Any, str, str], None]  # is told a task, its new state, and why it failed


def ignore_state(task: Task, state: str, error: str) -> None:
    """No-op progress callback."""


class Scheduler:
    """The tasks that wait or run, by their number from 1, and the messages of failed tasks.

    Args:
        tasks: The tasks in the order in which they should start.
        on_state: Called whenever a task starts, ends or fails.
    """

    def __init__(self, tasks: Sequence[Task], on_state: OnState = ignore_state) -> None:
        self._on_state = on_state
        self._tasks = dict(enumerate(tasks, start=1))
        self._sorter = TopologicalSorter(predecessors(self._tasks))
        self._sorter.prepare()
        self._ready: list[int] = []  # a heap
        self._lost: set[str] = set()
        self._failures: dict[int, str] = {}

    @property
    def failures(self) -> list[str]:
        """The messages of the failed tasks, in the order of the tasks."""
        return [self._failures[number] for number in sorted(self._failures)]

    def next_task(self) -> tuple[int, Task] | None:
        """Start the first task that can start.

        A task whose inputs could not be made fails without being tried.

        Returns:
            Its number and the task; None if all others wait for running tasks, or none is left.
        """
        while True:
            for number in self._sorter.get_ready():
                heappush(self._ready, number)
            if not self._ready:
                return None
            number = heappop(self._ready)
            task = self._tasks[number]
            if not self._lost & set(task.needs):
                logger.info(f"{self.prefix(number)} {task.description}")
                self._on_state(task, RUNNING, "")
                return number, task
            self.finish(number, task, "not tried, what it needs failed")

    def finish(self, number: int, task: Task, error: str = "") -> None:
        """Record that a task ended.

        Args:
            number: Its number.
            task: The task.
            error: Why it failed; '' if it did not.
        """
        self._sorter.done(number)
        if not error:
            self._on_state(task, DONE, "")
            return
        self._lost |= {task.makes} - {""}
        self._failures[number] = f"{task.description}: {error}"
        logger.info(f"{self.prefix(number)} failed: {error}")
        self._on_state(task, FAILED, error)

    def prefix(self, number: int) -> str:
        """Return the prefix of the lines of a task, for example `[3/8]`."""
        return f"[{number}/{len(self._tasks)}]"


def predecessors(tasks: Mapping[int, Task]) -> dict[int, set[int]]:
    """Find the tasks that must end before each task can start, by their numbers.

    They are the tasks whose results it needs. Tasks with the same result run one after the other.
    """
    before: dict[int, set[int]] = {number: set() for number in tasks}
    makers: dict[str, int] = {}
    for number, task in tasks.items():
        if task.makes:
            before[number] |= {makers[task.makes]} if task.makes in makers else set()
            makers[task.makes] = number
    for number, task in tasks.items():
        before[number] |= {makers[one] for one in task.needs if one in makers} - {number}
    return before


def try_task(run_task: RunTask, task: Task) -> str:
    """Run a task.

    Returns:
        Why it failed, if the other tasks can continue; '' if it did not fail.
    """
    try:
        run_task(task)
    except RbmixError as error:
        return str(error)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return "out of memory"
    return ""
