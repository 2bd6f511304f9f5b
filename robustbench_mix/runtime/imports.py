"""Import what a word of the form `package.module:attribute` names: code of the user's own."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from robustbench_mix.errors import FOREIGN, RbmixError, first_line


def import_word(word: str, kind: str) -> Any:
    """Import what a word names, from the current folder first, as `python -m` does.

    Args:
        word: `package.module:attribute`; the attribute may have dots.
        kind: What it is the word for, for messages.

    Raises:
        RbmixError: The module cannot be imported, whatever it raises, or has no such attribute.
    """
    module_name, _, attribute = word.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        target: Any = importlib.import_module(module_name)
        for part in attribute.split("."):
            target = getattr(target, part)
    except FOREIGN as error:  # whatever the user's module raises
        raise RbmixError(f"cannot import {kind} {word!r}: {describe_error(error)}") from error
    return target


def describe_error(error: BaseException) -> str:
    """Return the type of an error and the first line of its message."""
    return f"{type(error).__name__}: {first_line(error)}"
