"""What the headers of files may hold, and the kinds of values they are made of.

A header comes from a file that anybody may have made. Its names are printed, drawn and made
into file names, its numbers counted with: what is absent or of another kind is refused here,
so that nobody above has to ask again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from robustbench_mix.errors import RbmixError

Check = Callable[[Any], bool]
LARGEST = 2**53  # up to which a float64 counts exactly
MAX_NAME = 255


def is_name(value: Any) -> bool:
    """Whether it is a text of 1 to `MAX_NAME` printable characters."""
    return isinstance(value, str) and 0 < len(value) <= MAX_NAME and value.isprintable()


def count(low: int = 0, high: int = LARGEST) -> Check:
    """A whole number within these."""
    return lambda value: type(value) is int and low <= value <= high


def number(low: float = -math.inf, high: float = math.inf) -> Check:
    """A number within these; NaN is within none."""
    return lambda value: type(value) in (int, float) and low <= value <= high


def measured(value: Any) -> bool:
    """A number, NaN and infinity included."""
    return type(value) is float or count(-LARGEST)(value)


def text(value: Any) -> bool:
    """A text that can be printed, possibly empty."""
    return value == "" or is_name(value)


def maybe(check: Check) -> Check:
    """What passes the check, or nothing."""
    return lambda value: value is None or check(value)


def among(*allowed: str) -> Check:
    """One of these texts."""
    return lambda value: isinstance(value, str) and value in allowed


def listed(check: Check, low: int = 0, high: int = LARGEST) -> Check:
    """A list of so many that pass the check."""
    return lambda value: (
        isinstance(value, list) and low <= len(value) <= high and all(map(check, value))
    )


def mapped(check: Check) -> Check:
    """An object of any names, whose values pass the check."""
    return lambda value: (
        isinstance(value, dict) and all(map(is_name, value)) and all(map(check, value.values()))
    )


def holding(**checks: Check) -> Check:
    """An object that holds at least these."""
    return lambda value: (
        isinstance(value, dict) and all(check(value.get(name)) for name, check in checks.items())
    )


def verify(header: Any, checks: Mapping[str, Check], refusal: str) -> dict[str, Any]:
    """The header, if it is an object in which everything passes; a missing value is None.

    Raises RbmixError with the refusal and the name that is wrong.
    """
    if not isinstance(header, dict):
        raise RbmixError(f"{refusal} (no header)")
    for name, check in checks.items():
        if not check(header.get(name)):
            raise RbmixError(f"{refusal} (header: {name} = {str(header.get(name))[:100]!r})")
    return header
