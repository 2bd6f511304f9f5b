"""What is left to do, in which order, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from robustbench_mix.errors import RbmixError, is_out_of_memory
from robustbench_mix.runtime.progress import say

WAITING, AT_WORK, DONE, FAILED = STATES = ("waiting", "at work", "done", "failed")


class Piece(Protocol):
    """Something to do: `words` name it, `makes` what others may need ('' if nothing)."""

    @property
    def words(self) -> str: ...
    @property
    def makes(self) -> str: ...
    @property
    def needs(self) -> tuple[str, ...]: ...


Do = Callable[[Any], None]  # raises RbmixError
Note = Callable[[Any, str, str], None]  # a piece, its state, and why it failed


def unnoted(piece: Piece, state: str, error: str) -> None:
    """Nobody asks how far it is."""


class Agenda:
    """The pieces that wait or are at work, by their number from 1, and what failed."""

    def __init__(self, pieces: Sequence[Piece], note: Note = unnoted) -> None:
        self._note = note
        self.waiting = dict(enumerate(pieces, start=1))
        self.total = len(pieces)
        self._making: dict[int, str] = {}
        self._lost: set[str] = set()
        self._failures: dict[int, str] = {}

    @property
    def failures(self) -> list[str]:
        """What failed and why, in the order of the pieces."""
        return [self._failures[number] for number in sorted(self._failures)]

    def take(self) -> tuple[int, Piece] | None:
        """The first piece that can be started, None if all wait for what is being made."""
        pending = set(self._making.values()) - {""}
        for number, piece in list(self.waiting.items()):
            if self._lost & set(piece.needs):
                del self.waiting[number]
                self._fail(number, piece, "not tried, what it needs failed")
            elif not pending & {piece.makes, *piece.needs}:
                del self.waiting[number]
                self._making[number] = piece.makes
                say(f"{self.tag(number)} {piece.words}")
                self._note(piece, AT_WORK, "")
                return number, piece
            pending |= {piece.makes} - {""}
        return None

    def done(self, number: int, piece: Piece, error: str = "") -> None:
        """Note that a piece ended, and how."""
        del self._making[number]
        if error:
            self._fail(number, piece, error)
        else:
            self._note(piece, DONE, "")

    def tag(self, number: int) -> str:
        """What its lines begin with."""
        return f"[{number}/{self.total}]"

    def _fail(self, number: int, piece: Piece, error: str) -> None:
        self._lost |= {piece.makes} - {""}
        self._failures[number] = f"{piece.words}: {error}"
        say(f"{self.tag(number)} failed: {error}")
        self._note(piece, FAILED, error)


def attempt(do: Do, piece: Piece) -> str:
    """Do a piece; what went wrong that others need not care about, '' if nothing."""
    try:
        do(piece)
    except RbmixError as error:
        return str(error)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return "out of memory"
    return ""
