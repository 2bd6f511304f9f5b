"""Read files that others may have made: check type and size, parse, refuse in one line.

Every reader of the package uses this module. Nothing in a file is trusted, and any error of a
parser becomes an RbmixError.
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

# The largest files that are read. Specifications are small because the standard library needs
# seconds for dotted keys of that length, and minutes for keys of four times the length.
MAX_SPEC_BYTES = 2**14
MAX_COMPANION_BYTES = 2**20
MAX_BASELINE_BYTES = 2**25  # 100,000 images
MAX_STATE_BYTES = MAX_RECORDS_BYTES = 2**28
MAX_IMAGE_BYTES = 2**26
MAX_WEIGHTS_BYTES = 2**35


def check_file(path: Path, what: str, max_bytes: int) -> os.stat_result:
    """Check that a file can be read safely, and return its status.

    Args:
        path: The file.
        what: The kind of file, for the messages.
        max_bytes: The largest allowed size.

    Raises:
        RbmixError: It is missing, too large, or not a regular file but a folder, pipe or device.
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
    """Return the bytes of a file; arguments and errors as `check_file`."""
    check_file(path, what, max_bytes)
    try:
        with path.open("rb") as file:
            found = file.read(max_bytes + 1)
    except OSError as error:
        raise RbmixError(f"cannot read {what} {path}: {_reason(error)}") from error
    if len(found) > max_bytes:  # a file of the system, which reports a size of 0
        raise RbmixError(f"{what} {path} is too large (allowed: at most {max_bytes:,} bytes)")
    return found


@contextmanager
def refuse_on_error(refusal: str, hint: str = "") -> Iterator[None]:
    """Turn any error within the block into an RbmixError.

    Parsers answer hostile bytes with errors of every kind, recursion and memory among them.

    Args:
        refusal: The beginning of the message; the error's own message follows in brackets.
        hint: The end of the message, for example `; delete it`.
    """
    try:
        yield
    except RbmixError:
        raise
    except Exception as error:
        raise RbmixError(f"{refusal} ({first_line(error)}){hint}") from error


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """Return the table in a TOML file; raise RbmixError if it cannot be read or is malformed."""
    raw = read_bytes(path, what, MAX_SPEC_BYTES)
    with refuse_on_error(f"{what} {path} is not valid TOML"):
        return tomllib.loads(raw.decode("utf-8"))


def parse_json(raw: bytes, refusal: str, hint: str = "") -> Any:
    """Return the value of a JSON text in UTF-8.

    Args:
        raw: The bytes of the text.
        refusal: The beginning of an error's message.
        hint: Its end.

    Raises:
        RbmixError: It is not JSON, a name occurs twice in an object, or a text in it cannot be
            encoded as UTF-8.
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
