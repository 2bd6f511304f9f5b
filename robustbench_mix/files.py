"""Files that are either whole or absent, and where caches live."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from robustbench_mix.errors import RbmixError

PART = ".part"  # how a file ends while it is written
LONGEST = 150  # characters of a name; systems allow 255 bytes, and endings are added


def home() -> Path:
    """The cache folder: `RBMIX_HOME`, else the platform's user cache."""
    from platformdirs import user_cache_path

    override = os.environ.get("RBMIX_HOME")
    return path_of(override) if override else user_cache_path("rbmix", appauthor=False)


def path_of(text: str) -> Path:
    """The path that a user wrote, `~` included; raises RbmixError for one that cannot be."""
    if "\0" in text:
        raise RbmixError(f"{text!r} is no path")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:  # nobody of that name
        raise RbmixError(f"{text!r} is no path: {error}") from error


def is_folder(path: Path) -> bool:
    """Whether a folder is there; also no for a path that the system does not take."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` and rename it to `path` on success.

    A reader never sees half a file, and a failure leaves the old one. Raises RbmixError
    if the folder cannot be written.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=PART, dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise RbmixError(f"cannot write {path}: {_reason(error)}") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` atomically."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 with Unix line ends, atomically."""
    write_bytes(path, text.encode())


def differing(content: dict[Path, str]) -> list[Path]:
    """The files that do not hold these texts."""
    return [
        path
        for path, text in content.items()
        if not path.is_file() or path.read_bytes() != text.encode()
    ]


def safe_name(text: str) -> str:
    """The text as a file name, or part of one, on any system, that never leads elsewhere.

    Other characters become `_`, and so does a dot at the beginning; of a long one, the end
    becomes a hash of the whole.
    """
    name = re.sub(r"^\.|[^A-Za-z0-9_.+-]", "_", text)
    if len(name) <= LONGEST:
        return name
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{name[: LONGEST - 13]}-{digest}"


def check_writable(folder: Path) -> None:
    """Raise RbmixError unless files can be made in `folder` (created if missing)."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (OSError, ValueError) as error:
        raise RbmixError(f"cannot write to {folder}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
