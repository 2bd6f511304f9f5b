"""Files that are either whole or absent, and where caches live."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from robustbench_mix.errors import RbmixError

PART = ".part"  # how a file ends while it is written


def home() -> Path:
    """The cache folder: `RBMIX_HOME`, else the platform's user cache."""
    from platformdirs import user_cache_path

    override = os.environ.get("RBMIX_HOME")
    return Path(override).expanduser() if override else user_cache_path("rbmix", appauthor=False)


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
    except OSError as error:
        raise RbmixError(f"cannot write {path}: {error.strerror or error}") from error
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


def safe_name(text: str) -> str:
    """The text as part of a file name on any system: other characters become `_`."""
    return re.sub(r"[^A-Za-z0-9_.+-]", "_", text)


def check_writable(folder: Path) -> None:
    """Raise RbmixError unless files can be made in `folder` (created if missing)."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise RbmixError(f"cannot write to {folder}: {error.strerror or error}") from error
