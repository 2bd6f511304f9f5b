"""Check the options that a protocol gives to an attack."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from robustbench_mix.attacks.base import Stage
from robustbench_mix.errors import RbmixError

MAX_RESTARTS = 1000


def at_least_one(option: str, value: Any, most: int = 10**6) -> int:
    """Return a whole-number option; raise RbmixError unless it is from 1 to `most`.

    Args:
        option: The name of the option, for the message.
        value: Its value, of any type.
        most: The largest allowed value.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise RbmixError(
            f"option {option} = {value!r} must be a whole number, at least 1 (allowed: up to "
            f"{most:,})"
        )
    return value


def check_share(option: str, value: Any) -> None:
    """Raise RbmixError unless an option is a number above 0 and below 1."""
    if type(value) is not float or not 0 < value < 1:
        raise RbmixError(f"option {option} = {value!r} must be above 0 and below 1")


def check_pgd(steps: Any, restarts: Any, step_size: Any) -> None:
    """Raise RbmixError for an option of PGD that is out of range."""
    at_least_one("steps", steps)
    at_least_one("restarts", restarts, MAX_RESTARTS)
    if type(step_size) not in (int, float) or not 0 < step_size <= 2:
        raise RbmixError(f"option step_size = {step_size!r} must be above 0 and at most 2")


def call_with_options(
    make: Callable[..., list[Stage]], algorithm: str, classes: int, options: Mapping[str, Any]
) -> list[Stage]:
    """Return `make(classes, **options)`; raise RbmixError for an option that it does not take.

    Args:
        make: The function that makes the stages.
        algorithm: The name of the algorithm, for the message.
        classes: Number of classes of the model.
        options: Options of the algorithm, from the protocol.
    """
    try:
        inspect.signature(make).bind(classes, **options)
    except TypeError as error:
        raise RbmixError(f"options of algorithm {algorithm!r}: {error}") from error
    return make(classes, **options)
