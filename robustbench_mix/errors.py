"""The one exception a user can fix, and how a wrong name is answered."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MAX_CHARACTERS = 1000  # characters of a message
MAX_LISTED = 30  # names that are still listed one by one


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
    """The text on one line, without what a terminal would obey; a long one loses its middle.

    Names come from files and folders that others may have made.
    """
    words = " ".join(text.split())
    if len(words) > MAX_CHARACTERS:
        words = f"{words[: 7 * MAX_CHARACTERS // 10]} ... {words[-MAX_CHARACTERS // 4 :]}"
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in words)


def first_line(error: BaseException) -> str:
    """What a library says of an error, briefly; the kind of error where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]


def unknown(kind: str, name: str, allowed: Iterable[str], also: str = "") -> RbmixError:
    """An error for a name that is not registered, with the nearest one that is."""
    names = list(allowed)
    near = difflib.get_close_matches(name, names, n=4, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    shown = (
        names if len(names) <= MAX_LISTED else [*(near or names[:4]), f"... {len(names):,} in all"]
    )
    listed = ", ".join(shown) + (f", {also}" if also else "")
    return RbmixError(f"unknown {kind} {name!r}{hint} (allowed: {listed})")


# How Python, PyTorch's allocators, oneDNN and the system say it.
_OUT_OF_MEMORY = ("out of memory", "allocate memory", "could not create a ", "bad_alloc")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this is what is raised when memory runs out, on the host or on the GPU."""
    said = str(error)
    return isinstance(error, MemoryError) or any(words in said for words in _OUT_OF_MEMORY)
