"""Find the cache, the results and the checkout; read paths that users write."""

from __future__ import annotations

import os
import tomllib
from contextlib import suppress
from pathlib import Path

from robustbench_mix.errors import RbmixError

LOCAL_RESULTS = "local-results"  # ignored by git


def cache_folder() -> Path:
    """Return the cache folder: `RBMIX_HOME`, else the platform's user cache."""
    from platformdirs import user_cache_path

    override = os.environ.get("RBMIX_HOME")
    return parse_path(override) if override else user_cache_path("rbmix", appauthor=False)


def default_results_folder() -> Path:
    """Return the results folder that is used if none is named.

    It is `results` in the current folder, but `LOCAL_RESULTS` in a checkout of rbmix: there
    `results` is committed evidence, to which no run is added unless it is named.
    """
    root = checkout_root()
    if root is None:
        return Path("results")
    return Path(LOCAL_RESULTS) if root == Path.cwd() else root / LOCAL_RESULTS


def checkout_root() -> Path | None:
    """Return the root of the checkout of rbmix that contains the current folder, if any."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        is_root = (folder / ".git").exists()
        if (is_root or folder == here) and _is_ours(folder / "pyproject.toml"):
            return folder
        if is_root:
            return None
    return None


def _is_ours(project: Path) -> bool:
    """Return whether this is the pyproject.toml of rbmix."""
    with suppress(OSError, ValueError, AttributeError):
        text = project.read_text(encoding="utf-8")
        return bool(tomllib.loads(text).get("project", {}).get("name") == "robustbench-mix")
    return False


def parse_path(text: str) -> Path:
    """Return the path that a user wrote, with `~` expanded; raise RbmixError for no valid path."""
    if "\0" in text:
        raise RbmixError(f"{text!r} is no path")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:  # no user of that name
        raise RbmixError(f"{text!r} is no path: {error}") from error


def is_folder(path: Path) -> bool:
    """Return whether there is a folder at `path`; False for an invalid path."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def is_file(path: Path) -> bool:
    """Return whether there is a file at `path`; False for an invalid path."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
