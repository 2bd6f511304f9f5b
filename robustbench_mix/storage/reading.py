"""Reading what others may have made: regular files, not too large, parsed or refused in one line.

Every reader of the package comes through here: nothing in a file is trusted, and whatever a
parser makes of hostile bytes is an RbmixError.
"""

from __future__ import annotations

import json
import os
import stat
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from robustbench_mix.errors import RbmixError, first_line

# Bytes that a file may have. A specification is small because the standard library takes
# seconds over dotted keys of that length, and minutes over four times as long ones.
MAX_SPEC_BYTES = 2**14
MAX_COMPANION_BYTES = 2**20
MAX_BASELINE_BYTES = 2**25  # 100,000 images
MAX_STATE_BYTES = MAX_RECORDS_BYTES = 2**28
MAX_IMAGE_BYTES = 2**26
MAX_WEIGHTS_BYTES = 2**35


def check_file(path: Path, what: str, max_bytes: int) -> os.stat_result:
    """What the system knows of the file; `what` it is for the messages.

    Raises RbmixError unless it is a regular file (no folder, pipe or device) of at most
    `max_bytes` bytes.
    """
    try:
        found = path.stat()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise RbmixError(f"cannot read {what} {path}: {_reason(error)}") from error
    if not stat.S_ISREG(found.st_mode):
        raise RbmixError(f"cannot read {what} {path}: it is not a regular file")
    if found.st_size > max_bytes:
        raise RbmixError(
            f"{what} {path} has {found.st_size:,} bytes (allowed: at most {max_bytes:,})"
        )
    return found


def read_bytes(path: Path, what: str, max_bytes: int) -> bytes:
    """The bytes of the file; raises RbmixError as `check` does."""
    check_file(path, what, max_bytes)
    try:
        with path.open("rb") as file:
            found = file.read(max_bytes + 1)
    except OSError as error:
        raise RbmixError(f"cannot read {what} {path}: {_reason(error)}") from error
    if len(found) > max_bytes:  # a file of the system's own, whose size is said to be 0
        raise RbmixError(f"{what} {path} is too large (allowed: at most {max_bytes:,} bytes)")
    return found


@contextmanager
def refuse_on_error(refusal: str, hint: str = "") -> Iterator[None]:
    """Whatever is raised within the block is an RbmixError: the refusal, why, and the hint.

    Parsers answer hostile bytes with errors of every kind, recursion and memory among them.
    """
    try:
        yield
    except RbmixError:
        raise
    except Exception as error:
        raise RbmixError(f"{refusal} ({first_line(error)}){hint}") from error


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """The table in a TOML file; raises RbmixError if it cannot be read or is malformed."""
    raw = read_bytes(path, what, MAX_SPEC_BYTES)
    with refuse_on_error(f"{what} {path} is not valid TOML"):
        return tomllib.loads(raw.decode("utf-8"))


def parse_json(raw: bytes, refusal: str, hint: str = "") -> Any:
    """The value of a JSON text in UTF-8; raises RbmixError with the refusal and the hint.

    Names may not occur twice in an object, and texts must be such as can be written again.
    """
    with refuse_on_error(refusal, hint):
        value = json.loads(raw.decode("utf-8"), object_pairs_hook=_without_duplicates)
        json.dumps(value, ensure_ascii=False).encode("utf-8")
        return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name occurs twice in an object")
    return found


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or first_line(error)
