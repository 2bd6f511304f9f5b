"""Let one process at a time do the same work or write the same files."""

from __future__ import annotations

import glob
import hashlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from robustbench_mix.errors import RbmixError, first_line
from robustbench_mix.storage.atomic import partial_suffix
from robustbench_mix.storage.paths import cache_folder

logger = logging.getLogger(__name__)


@contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Lock `path` for this user's processes until the end of the block.

    The call waits for another process that holds the lock; the system releases the lock of a killed
    one. Half-written files of a killed process, of `path` and of the same stem, are removed.

    Args:
        path: A file, or a folder if it has no suffix; it need not exist.

    Raises:
        RbmixError: The lock cannot be made.
    """
    from filelock import FileLock, Timeout

    # In the cache, because beside the results the empty lock files would stay for ever.
    try:
        key = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:24]
    except (OSError, RuntimeError) as error:  # a loop of links
        raise RbmixError(f"cannot lock {path}: {first_line(error)}") from error
    place = cache_folder() / "locks" / f"{key}.lock"
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(place)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            logger.info(f"another process works on {path}: waiting for it")
            lock.acquire()
    except OSError as error:
        raise RbmixError(f"cannot lock {place}: {error.strerror or error}") from error
    try:
        _remove_partial_files(path)
        yield
    finally:
        lock.release()


def _remove_partial_files(path: Path) -> None:
    """Remove the half-written files of processes on this machine that are dead now."""
    folder, stem = (path.parent, f".{glob.escape(path.stem)}.") if path.suffix else (path, ".")
    for left in folder.glob(f"{stem}*{partial_suffix()}"):
        left.unlink(missing_ok=True)
