"""The error that a user can fix, and the messages it carries."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

FOREIGN = (Exception, SystemExit)  # whatever code of a user's raises
MAX_CHARACTERS = 1000  # longest message, in characters
CUT = " ..."  # stands for what a message leaves out
MAX_LISTED = 30  # largest number of names that are listed one by one


class RbmixError(Exception):
    """An error that the user can fix.

    Args:
        message: One line that names the wrong value and the allowed ones.
        details: Further lines, if several things are wrong.
    """

    def __init__(self, message: str, details: Iterable[str] = ()) -> None:
        super().__init__(one_line(message))
        self.details = tuple(map(one_line, details))


def one_line(text: str) -> str:
    """Return the text on one line, without control characters.

    A text of more than `MAX_CHARACTERS` loses its middle. Names come from files and folders that
    others may have made, so a message may hold anything.
    """
    words = " ".join(text.split())
    if len(words) > MAX_CHARACTERS:
        words = f"{words[: 7 * MAX_CHARACTERS // 10]} ... {words[-MAX_CHARACTERS // 4 :]}"
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in words)


_TORCHSCRIPT = "The following operation failed in the TorchScript interpreter"


def first_line(error: BaseException, longest: int = 160) -> str:
    """Return the first line of an error's message, or its type if it has no message.

    Args:
        error: The error.
        longest: Number of characters; of a longer line the first words are kept.
    """
    lines = str(error).strip().splitlines() or [type(error).__name__]
    # TorchScript says first where it happened, and last what.
    line = lines[-1 if lines[0].startswith(_TORCHSCRIPT) else 0]
    if len(line) <= longest:
        return line
    kept = line[: longest - len(CUT)]
    return f"{kept.rpartition(' ')[0] or kept}{CUT}"


def unknown(kind: str, name: str, allowed: Iterable[str], also: str = "") -> RbmixError:
    """Make the error for an unknown name.

    Args:
        kind: The kind of thing that it names, for example `model`.
        name: The unknown name.
        allowed: The known names; the nearest one is suggested.
        also: Other allowed values, in words.

    Returns:
        The error, for the caller to raise.
    """
    names = list(allowed)
    hint, listed = suggestion(name, names)
    listed += f", {also}" if also else ""
    return RbmixError(f"unknown {kind} {name!r}{hint} (allowed: {listed})")


def suggestion(name: str, names: list[str]) -> tuple[str, str]:
    """Return a question about the nearest name, '' if none is near, and the names in one line.

    Args:
        name: A name that is none of them.
        names: The names.
    """
    near = difflib.get_close_matches(name, names, n=4, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    shown = (
        names if len(names) <= MAX_LISTED else [*(near or names[:4]), f"... {len(names):,} in all"]
    )
    return hint, ", ".join(shown)


# The messages of Python, PyTorch's allocators, oneDNN and the system.
_OUT_OF_MEMORY = ("out of memory", "allocate memory", "could not create a ", "bad_alloc")


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that memory ran out, on the host or on the GPU."""
    message = str(error)
    return isinstance(error, MemoryError) or any(words in message for words in _OUT_OF_MEMORY)
