"""One process at a time, where two would do the same work or write the same files."""

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
    """Hold `path`, a file or (without a suffix) a folder, until the end of the block.

    Waits for another process of this user that holds it; the system lets go of what a killed
    one held. Half-written files that such a one left of `path` and of its companions of the
    same stem are cleared away. Raises RbmixError if the lock cannot be made.
    """
    from filelock import FileLock, Timeout

    # Not beside the results, where the empty files would stay for good.
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
            logger.info(f"another process is at {path}: waiting for it")
            lock.acquire()
    except OSError as error:
        raise RbmixError(f"cannot lock {place}: {error.strerror or error}") from error
    try:
        _remove_partial_files(path)
        yield
    finally:
        lock.release()


def _remove_partial_files(path: Path) -> None:
    """Remove what writers on this machine that are dead now left half-written."""
    folder, stem = (path.parent, f".{glob.escape(path.stem)}.") if path.suffix else (path, ".")
    for left in folder.glob(f"{stem}*{partial_suffix()}"):
        left.unlink(missing_ok=True)
