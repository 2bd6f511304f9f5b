"""The allowed ranges of numbers and names that users give."""

from __future__ import annotations

import operator

from robustbench_mix.errors import RbmixError
from robustbench_mix.storage.validation import MAX_NAME, is_name

MAX_SEED = 2**32 - 1
MAX_SIZE = 1024  # largest size in pixels to which images are resized
MAX_EPS = 1000  # largest number of epsilons of a grid
MAX_EXAMPLES = 10**8
MAX_BATCH_SIZE = 10**6
MAX_EPOCHS = 10**5
MAX_TASKS = 100_000  # largest number of tasks of a sweep: networks times attacks
# Largest numbers of an un-shuffler, as in the names of models.
MAX_UNSHUFFLER = {"width": 9999, "depth": 999, "kernel": 999, "patch": 999}


def whole(name: str, number: object) -> int:
    """Return a whole number, of NumPy's too, as one of Python's; raise RbmixError otherwise."""
    if isinstance(number, bool):
        raise RbmixError(f"{name} {number} is not a whole number")
    try:
        return operator.index(number)  # type: ignore[arg-type]
    except TypeError:
        raise RbmixError(f"{name} {number!r} is not a whole number") from None


def check_seed(seed: int) -> int:
    """Return the seed if it is an unsigned 32-bit number; raise RbmixError otherwise."""
    seed = whole("seed", seed)
    if not 0 <= seed <= MAX_SEED:
        raise RbmixError(f"seed {seed} is out of range (allowed: 0 to {MAX_SEED})")
    return seed


def check_name(kind: str, text: str) -> str:
    """Return a name that will be printed and written into files.

    Args:
        kind: The kind of thing that it names, for the message.
        text: The name.

    Raises:
        RbmixError: It is empty, too long, or contains control characters, line ends or characters
            that UTF-8 cannot encode.
    """
    if not is_name(text):
        raise RbmixError(f"{kind} {text!r} is not 1 to {MAX_NAME} printable characters")
    return text


def check_count(name: str, number: int | None, most: int) -> int | None:
    """Return the number if it is from 1 to `most`, or None; raise RbmixError otherwise."""
    if number is None:
        return None
    number = whole(name, number)
    if not 1 <= number <= most:
        raise RbmixError(f"{name} {number} must be at least 1 (allowed: up to {most:,})")
    return number
