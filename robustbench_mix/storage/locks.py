"""Let one process at a time do the same work or write the same files."""

from __future__ import annotations

import glob
import hashlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from robustbench_mix.errors import RbmixError, first_line
from robustbench_mix.storage.atomic import partial_suffix
from robustbench_mix.storage.paths import cache_folder

logger = logging.getLogger(__name__)

MOMENT_SECONDS = 1.0  # longer than a process looks at a mark


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

    with _refuse_unlockable(path) as place:
        lock = FileLock(place)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            logger.info(f"another process works on {path}: waiting for it")
            lock.acquire()
    try:
        _remove_partial_files(path)
        yield
    finally:
        lock.release()


@contextmanager
def mark(path: Path) -> Iterator[None]:
    """Let `is_marked` see that a process works on `path`, until the end of the block or its death.

    Several processes may do so at once: nobody waits.

    Raises:
        RbmixError: The mark cannot be made.
    """
    from filelock import FileLock, Timeout

    with _refuse_unlockable(path) as place:
        lock = FileLock(place.with_suffix(".mark"))
        with suppress(Timeout):  # another process marks it, or just looks whether one does
            lock.acquire(timeout=MOMENT_SECONDS)
    try:
        yield
    finally:
        lock.release()


def is_marked(path: Path) -> bool:
    """Return whether a process of this user on this machine has marked `path` and is alive."""
    from filelock import FileLock, Timeout

    with _refuse_unlockable(path) as place:
        try:
            with FileLock(place.with_suffix(".mark")).acquire(timeout=0):
                return False
        except Timeout:
            return True


@contextmanager
def _refuse_unlockable(path: Path) -> Iterator[Path]:
    """Yield the place of a lock; turn errors of the system into RbmixError."""
    # In the cache, because beside the results the empty lock files would stay for ever.
    try:
        key = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:24]
    except (OSError, RuntimeError) as error:  # a loop of links
        raise RbmixError(f"cannot lock {path}: {first_line(error)}") from error
    place = cache_folder() / "locks" / f"{key}.lock"
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        yield place
    except OSError as error:
        raise RbmixError(f"cannot lock {place}: {error.strerror or error}") from error


def _remove_partial_files(path: Path) -> None:
    """Remove the half-written files of processes on this machine that are dead now."""
    folder, stem = (path.parent, f".{glob.escape(path.stem)}.") if path.suffix else (path, ".")
    for left in folder.glob(f"{stem}*{partial_suffix()}"):
        left.unlink(missing_ok=True)
