"""Where caches live, and the paths that users write."""

from __future__ import annotations

import os
from pathlib import Path

from robustbench_mix.errors import RbmixError


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
