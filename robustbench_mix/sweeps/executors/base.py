"""What every runner is: it takes pieces and gives back what failed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from robustbench_mix.sweeps.scheduler import Do, Note, Piece

Run = Callable[[Sequence[Piece], Do, Note], list[str]]


@dataclass(frozen=True)
class Runner:
    """`run` does pieces and returns what failed; `ask` calls a function where they are done.

    `words` say who does them, `room` how many they do at once.
    """

    run: Run
    ask: Callable[..., Any]
    words: str
    room: int
