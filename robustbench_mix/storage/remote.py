"""Remote results: a results folder at a URL that fsspec can open, with a local copy in the cache.

Commands work in the local copy. A file is uploaded before it appears in the copy, and a file that
is gone from the remote folder is removed from the copy, so that all machines see the same results.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from robustbench_mix.errors import RbmixError, first_line
from robustbench_mix.storage import atomic, reading
from robustbench_mix.storage.paths import cache_folder, parse_path

CHECKPOINTS = "checkpoints"  # in the cache, and in the remote results for other machines
URL_FILE, LISTING_FILE = ".url", ".listing.json"
LOCAL_SUFFIX = ".partial.json"  # resume state: changes often, and no other machine needs it
# The details of a file that change with it, under the names of several file systems.
CHANGE_FIELDS = ("size", "mtime", "created", "updated", "LastModified", "ETag", "etag", "md5")
FILES_AT_ONCE = 64  # number of files that are downloaded side by side
# File systems on which a file appears once it is complete; on others it is renamed at the end.
OBJECT_STORES = {"s3", "gs", "gcs", "abfs", "az", "adl", "oss", "oci", "memory"}


def is_url(text: str) -> bool:
    """Return whether a results folder is named by a URL, not by a path."""
    return "://" in text


def local_folder(text: str) -> Path:
    """Return the local folder of these results: the path, or the updated copy of a URL.

    Raises:
        RbmixError: The URL cannot be read.
    """
    if not is_url(text):
        return parse_path(text)
    url = text.rstrip("/")
    here = cache_folder() / "mirrors" / hashlib.sha256(url.encode()).hexdigest()[:16]
    with _connect(url) as (system, root):
        with atomic.replacing(here / URL_FILE) as temporary:
            temporary.write_text(url)
        system.invalidate_cache()
        _download_changes(system, root, here)
    return here


def read(url: str, relative: str, what: str, max_bytes: int) -> bytes:
    """Return the bytes of one file at a URL.

    Args:
        url: The URL of the folder.
        relative: The path of the file in it.
        what: The kind of file, for the messages.
        max_bytes: The largest allowed size.

    Raises:
        RbmixError: It cannot be read, or it is larger.
    """
    place = f"{url}/{relative}"
    with reading.refuse_on_error(f"cannot read {what} {place}"):
        from fsspec.core import url_to_fs

        system, there = url_to_fs(place)
        with system.open(there, "rb") as file:
            found: bytes = file.read(max_bytes + 1)
    if len(found) > max_bytes:
        raise RbmixError(f"{what} {place} is too large (allowed: at most {max_bytes:,} bytes)")
    return found


def portable_name(folder: Path) -> str:
    """Return the name of a folder on any machine: the URL of remote results, or its path."""
    found = _location(folder / "any")
    return found[0] if found else str(folder)


def display_name(path: Path) -> str:
    """Return the name of a file for messages: its remote path, or its path."""
    found = _location(path)
    return posixpath.join(*found) if found else str(path)


def upload(content: Path, path: Path) -> None:
    """Upload the file `content` as the remote file of `path`; no-op for local results."""
    if (found := _location(path)) and not path.name.endswith(LOCAL_SUFFIX):
        _upload(content, *found)


def remove(path: Path) -> None:
    """Remove the remote file of `path`; no-op for local results and for a missing file."""
    if (found := _location(path)) and not path.name.endswith(LOCAL_SUFFIX):
        with _connect(*found) as (system, there):
            if system.exists(there):
                system.rm_file(there)


def check_writable(folder: Path) -> None:
    """Raise RbmixError unless the remote results of a folder can be written; no-op for local."""
    if found := _location(folder / ".writable"):
        with _connect(*found) as (system, there):
            system.makedirs(posixpath.dirname(there), exist_ok=True)
            system.pipe_file(there, b"")
            system.rm_file(there)


def upload_checkpoint(checkpoint: str, results: Path) -> None:
    """Upload the checkpoint of this file name to remote results; no-op for local ones."""
    if found := _location(results / CHECKPOINTS / checkpoint):
        _upload(cache_folder() / CHECKPOINTS / checkpoint, *found)


def has_checkpoint(checkpoint: str, results: Path) -> bool:
    """Return whether remote results hold this checkpoint; True for local results."""
    found = _location(results / CHECKPOINTS / checkpoint)
    if found is None:
        return True
    with _connect(*found) as (system, there):
        return bool(system.exists(there))


def download_checkpoints(checkpoints: Iterable[str], results: Path) -> None:
    """Download the checkpoints of these names that are in remote results but not in the cache."""
    for name in checkpoints:
        found, path = _location(results / CHECKPOINTS / name), cache_folder() / CHECKPOINTS / name
        if found is None or path.exists():
            continue
        with _connect(*found) as (system, there):
            if system.exists(there):
                with atomic.replacing(path) as temporary:
                    system.get_file(there, str(temporary))


def _location(path: Path) -> tuple[str, str] | None:
    """Return the URL of the remote results that a file belongs to, and its path there, if any."""
    mirrors = cache_folder() / "mirrors"
    if not path.is_relative_to(mirrors):
        return None
    key, *rest = path.relative_to(mirrors).parts
    if not rest or rest == [URL_FILE] or rest == [LISTING_FILE]:
        return None
    return reading.read_bytes(
        mirrors / key / URL_FILE, "address of remote results", reading.MAX_SPEC_BYTES
    ).decode(), "/".join(rest)


@contextmanager
def _connect(url: str, relative: str = "") -> Iterator[tuple[Any, str]]:
    """Yield the file system of a URL, and the path of `relative` on it.

    Any error of the file system within the block becomes an RbmixError.
    """
    try:
        from fsspec.core import url_to_fs

        system, root = url_to_fs(url)
        yield system, posixpath.join(root, relative) if relative else root
    except RbmixError:
        raise
    except Exception as error:  # every file system has errors of its own
        raise RbmixError(f"results folder {url}: {first_line(error)}") from error


def _upload(content: Path, url: str, relative: str) -> None:
    with _connect(url, relative) as (system, there):
        above, last = posixpath.split(there)
        system.makedirs(above, exist_ok=True)
        protocols = {system.protocol} if isinstance(system.protocol, str) else {*system.protocol}
        if protocols & OBJECT_STORES:
            system.put_file(str(content), there)
            return
        temporary = posixpath.join(above, f".{content.name[-60:]}-{last}"[:250])
        system.put_file(str(content), temporary)
        system.mv(temporary, there)


def _download_changes(system: Any, root: str, here: Path) -> None:
    """Download what changed since the last time, and remove what is gone."""
    kept = here / LISTING_FILE
    try:
        before = json.loads(kept.read_text())
    except (OSError, ValueError):
        before = {}
    listing, changed = {}, []
    for there, found in system.find(root, detail=True).items():
        relative = posixpath.relpath(there, root)
        if not _is_result(relative) or found["size"] > reading.MAX_RECORDS_BYTES:
            continue
        listing[relative] = state = {key: str(found[key]) for key in CHANGE_FIELDS if key in found}
        if before.get(relative) != state or not (here / relative).is_file():
            changed.append((there, here / relative))
    for start in range(0, len(changed), FILES_AT_ONCE):
        some = dict(changed[start : start + FILES_AT_ONCE])
        for there, content in system.cat(list(some), on_error="raise").items():
            with atomic.replacing(some[there]) as temporary:
                temporary.write_bytes(content)
    for relative in before.keys() - listing.keys():  # not files that another process writes now
        if _is_result(relative):
            (here / relative).unlink(missing_ok=True)
    with atomic.replacing(kept) as temporary:
        temporary.write_text(json.dumps(listing))


def _is_result(relative: str) -> bool:
    """Return whether a remote path is that of a result: not hidden, not outside, not local."""
    parts = PurePosixPath(relative).parts
    hidden = any(part.startswith(".") for part in parts)  # and `..`
    return not hidden and parts[0] != CHECKPOINTS and not relative.endswith(LOCAL_SUFFIX)
