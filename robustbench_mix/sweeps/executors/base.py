"""What every runner is: it takes pieces and gives back what failed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from robustbench_mix.sweeps.scheduler import OnState, RunTask, Task

RunTasks = Callable[[Sequence[Task], RunTask, OnState], list[str]]


@dataclass(frozen=True)
class Executor:
    """`run` does pieces and returns what failed; `ask` calls a function where they are done.

    `words` say who does them, `room` how many they do at once.
    """

    run: RunTasks
    call: Callable[..., Any]
    description: str
    capacity: int
