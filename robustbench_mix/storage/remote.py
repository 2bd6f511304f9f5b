"""Results folders elsewhere: whatever fsspec reaches, mirrored in the cache.

Commands work in the mirror. What they write is there before it is here, and what is not there is
removed here, so that any machine sees the same folder; two never write half a file each.
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

CHECKPOINTS = "checkpoints"  # of the cache, and beside the records for machines that need them
URL_FILE, LISTING_FILE = ".url", ".listing.json"
LOCAL_SUFFIX = ".partial.json"  # changes every few seconds, and is of use here alone
# What tells that a file changed, as one file system or another names it.
CHANGE_FIELDS = ("size", "mtime", "created", "updated", "LastModified", "ETag", "etag", "md5")
FILES_AT_ONCE = 64  # files fetched side by side
# File systems on which a file appears when all of it has arrived; elsewhere it is renamed then.
OBJECT_STORES = {"s3", "gs", "gcs", "abfs", "az", "adl", "oss", "oci", "memory"}


def is_url(text: str) -> bool:
    """Whether a results folder is named by a URL rather than by a path."""
    return "://" in text


def local_folder(text: str) -> Path:
    """The folder of this name here: a path, or the mirror of a URL, brought up to date.

    Raises RbmixError where the URL cannot be read.
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


def portable_name(folder: Path) -> str:
    """What names this folder on any machine: the URL that it mirrors, or its path."""
    found = _location(folder / "any")
    return found[0] if found else str(folder)


def display_name(path: Path) -> str:
    """What users call a file: its path, or where it is mirrored from."""
    found = _location(path)
    return posixpath.join(*found) if found else str(path)


def upload(content: Path, path: Path) -> None:
    """Keep the bytes of `content` where `path` is mirrored from; nothing if it is no mirror."""
    if (found := _location(path)) and not path.name.endswith(LOCAL_SUFFIX):
        _upload(content, *found)


def remove(path: Path) -> None:
    """Remove the file that `path` mirrors; nothing if it is no mirror or there is no such file."""
    if (found := _location(path)) and not path.name.endswith(LOCAL_SUFFIX):
        with _connect(*found) as (system, there):
            if system.exists(there):
                system.rm_file(there)


def check_writable(folder: Path) -> None:
    """Raise RbmixError unless what this folder mirrors can be written; no mirror always can."""
    if found := _location(folder / ".writable"):
        with _connect(*found) as (system, there):
            system.makedirs(posixpath.dirname(there), exist_ok=True)
            system.pipe_file(there, b"")
            system.rm_file(there)


def upload_checkpoint(checkpoint: str, results: Path) -> None:
    """Keep the checkpoint of this name beside the results that this folder mirrors."""
    if found := _location(results / CHECKPOINTS / checkpoint):
        _upload(cache_folder() / CHECKPOINTS / checkpoint, *found)


def has_checkpoint(checkpoint: str, results: Path) -> bool:
    """Whether other machines find a checkpoint of this name beside the results, if at a URL."""
    found = _location(results / CHECKPOINTS / checkpoint)
    if found is None:
        return True
    with _connect(*found) as (system, there):
        return bool(system.exists(there))


def download_checkpoints(checkpoints: Iterable[str], results: Path) -> None:
    """Fetch checkpoints of these names that are not in this machine's cache, if they are there."""
    for name in checkpoints:
        found, path = _location(results / CHECKPOINTS / name), cache_folder() / CHECKPOINTS / name
        if found is None or path.exists():
            continue
        with _connect(*found) as (system, there):
            if system.exists(there):
                with atomic.replacing(path) as temporary:
                    system.get_file(there, str(temporary))


def _location(path: Path) -> tuple[str, str] | None:
    """The URL of the results folder that a file belongs to, and its name there."""
    mirrors = cache_folder() / "mirrors"
    if not path.is_relative_to(mirrors):
        return None
    key, *rest = path.relative_to(mirrors).parts
    if not rest or rest == [URL_FILE] or rest == [LISTING_FILE]:
        return None
    return reading.read_bytes(
        mirrors / key / URL_FILE, "mirror", reading.MAX_SPEC_BYTES
    ).decode(), "/".join(rest)


@contextmanager
def _connect(url: str, relative: str = "") -> Iterator[tuple[Any, str]]:
    """The file system of a URL, and the path there of what is called so below it.

    Whatever the file system raises is an RbmixError.
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
    """Fetch what changed since the last time, and remove what is gone."""
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
    for relative in before.keys() - listing.keys():  # not what another process writes just now
        if _is_result(relative):
            (here / relative).unlink(missing_ok=True)
    with atomic.replacing(kept) as temporary:
        temporary.write_text(json.dumps(listing))


def _is_result(relative: str) -> bool:
    """Whether a name is that of a result: not hidden, not leading elsewhere, mirrored at all."""
    parts = PurePosixPath(relative).parts
    hidden = any(part.startswith(".") for part in parts)  # and `..`
    return not hidden and parts[0] != CHECKPOINTS and not relative.endswith(LOCAL_SUFFIX)
