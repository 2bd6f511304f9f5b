"""Write a file as a whole or not at all."""

from __future__ import annotations

import os
import re
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from robustbench_mix.errors import RbmixError


def partial_suffix() -> str:
    """Return the suffix that files have while this machine writes them."""
    return f".{re.sub('[^A-Za-z0-9-]', '_', socket.gethostname())[:40]}.part"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, and rename it to `path` if the block succeeds.

    The temporary name contains the name of this machine, so that another machine that shares the
    folder does not remove it as the leftover of a dead process.

    Raises:
        RbmixError: The folder cannot be written.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            prefix=f".{path.name}.", suffix=partial_suffix(), dir=path.parent
        )
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
        raise RbmixError(f"cannot write {path}: {error_reason(error)}") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def error_reason(error: Exception) -> str:
    """Return the system's message for an error."""
    return getattr(error, "strerror", None) or str(error)
