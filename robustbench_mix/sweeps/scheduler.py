"""What is left to do, in which order, and what came of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from robustbench_mix.errors import RbmixError, is_out_of_memory

logger = logging.getLogger(__name__)

WAITING, RUNNING, DONE, FAILED = STATES = ("waiting", "at work", "done", "failed")


class Task(Protocol):
    """Something to do: `words` name it, `makes` what others may need ('' if nothing)."""

    @property
    def description(self) -> str: ...
    @property
    def makes(self) -> str: ...
    @property
    def needs(self) -> tuple[str, ...]: ...


RunTask = Callable[[Any], None]  # raises RbmixError
OnState = Callable[[Any, str, str], None]  # a piece, its state, and why it failed


def ignore_state(task: Task, state: str, error: str) -> None:
    """Nobody asks how far it is."""


class Scheduler:
    """The pieces that wait or are at work, by their number from 1, and what failed."""

    def __init__(self, tasks: Sequence[Task], on_state: OnState = ignore_state) -> None:
        self._on_state = on_state
        self.waiting = dict(enumerate(tasks, start=1))
        self.total = len(tasks)
        self._making: dict[int, str] = {}
        self._lost: set[str] = set()
        self._failures: dict[int, str] = {}

    @property
    def failures(self) -> list[str]:
        """What failed and why, in the order of the pieces."""
        return [self._failures[number] for number in sorted(self._failures)]

    def next_task(self) -> tuple[int, Task] | None:
        """The first piece that can be started, None if all wait for what is being made."""
        pending = set(self._making.values()) - {""}
        for number, task in list(self.waiting.items()):
            if self._lost & set(task.needs):
                del self.waiting[number]
                self._fail(number, task, "not tried, what it needs failed")
            elif not pending & {task.makes, *task.needs}:
                del self.waiting[number]
                self._making[number] = task.makes
                logger.info(f"{self.prefix(number)} {task.description}")
                self._on_state(task, RUNNING, "")
                return number, task
            pending |= {task.makes} - {""}
        return None

    def finish(self, number: int, task: Task, error: str = "") -> None:
        """Note that a piece ended, and how."""
        del self._making[number]
        if error:
            self._fail(number, task, error)
        else:
            self._on_state(task, DONE, "")

    def prefix(self, number: int) -> str:
        """What its lines begin with."""
        return f"[{number}/{self.total}]"

    def _fail(self, number: int, task: Task, error: str) -> None:
        self._lost |= {task.makes} - {""}
        self._failures[number] = f"{task.description}: {error}"
        logger.info(f"{self.prefix(number)} failed: {error}")
        self._on_state(task, FAILED, error)


def try_task(run_task: RunTask, task: Task) -> str:
    """Do a piece; what went wrong that others need not care about, '' if nothing."""
    try:
        run_task(task)
    except RbmixError as error:
        return str(error)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return "out of memory"
    return ""
