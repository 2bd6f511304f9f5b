"""Write and remove files, here and in remote results."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from robustbench_mix.errors import RbmixError
from robustbench_mix.storage import atomic, remote

MAX_NAME_CHARACTERS = 150  # systems allow 255 bytes, and suffixes are added
_recorders: list[set[Path]] = []


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, and rename it to `path` if the block succeeds.

    A reader never sees half a file, and a failure leaves the old one. A file of remote results is
    uploaded before it is renamed.

    Raises:
        RbmixError: The folder, or the remote one, cannot be written.
    """
    with atomic.replacing(path) as temporary:
        yield temporary
        remote.upload(temporary, path)
    for found in _recorders:
        found.add(path)


@contextmanager
def record_written_files() -> Iterator[set[Path]]:
    """Yield the set of files that this process has written within the block so far."""
    found: set[Path] = set()
    _recorders.append(found)
    try:
        yield found
    finally:
        _recorders.remove(found)


def remove(path: Path) -> None:
    """Remove a file, here and from the remote results; a missing one is no error."""
    remote.remove(path)
    path.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` atomically."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 with Unix line ends, atomically."""
    write_bytes(path, text.encode())


def write_if_changed(content: Mapping[Path, str | bytes]) -> list[Path]:
    """Write the files whose content differs, and return their paths."""
    changed = files_that_differ(content)
    for path in changed:
        write_bytes(path, _encode(content[path]))
    return changed


def files_that_differ(content: Mapping[Path, str | bytes]) -> list[Path]:
    """Return the paths whose files are missing or have another content."""
    return [
        path
        for path, wanted in content.items()
        if not path.is_file() or path.read_bytes() != _encode(wanted)
    ]


def _encode(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content


def safe_name(text: str) -> str:
    """Return the text as a file name, or part of one, that is valid on any system.

    Other characters than letters, digits and `_.+-` become `_`, and so does a dot at the
    beginning. The end of a long text is replaced by a hash of the whole.
    """
    name = re.sub(r"^\.|[^A-Za-z0-9_.+-]", "_", text)
    if len(name) <= MAX_NAME_CHARACTERS:
        return name
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{name[: MAX_NAME_CHARACTERS - 13]}-{digest}"


def check_writable(folder: Path) -> None:
    """Raise RbmixError unless files can be created in `folder`, which is created if missing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (OSError, ValueError) as error:
        raise RbmixError(f"cannot write to {folder}: {atomic.error_reason(error)}") from error
    remote.check_writable(folder)
