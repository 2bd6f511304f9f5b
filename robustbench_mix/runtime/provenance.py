"""Record where a number comes from: versions, commit, date."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from robustbench_mix.errors import RbmixError

PACKAGES = ("robustbench-mix", "torch", "torchvision", "foolbox", "pyautoattack", "numpy")


def versions() -> dict[str, str]:
    """Return the installed version of each package that could change a result."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "absent"
    return found


@cache
def commit() -> str:
    """Return the commit of the checkout that runs, with `-dirty` if it was changed; else ''."""
    here = Path(__file__).resolve().parents[1]
    if _git(here, "ls-files", "--error-unmatch", "runtime/provenance.py") is None:
        return ""
    head = _git(here, "rev-parse", "--short=12", "HEAD")
    if head is None:
        return ""
    changed = _git(here, "status", "--porcelain", "--untracked-files=no", "--", str(here))
    return f"{head}-dirty" if changed else head


def today() -> str:
    """Return the day in UTC, as 2026-01-31, or that of `SOURCE_DATE_EPOCH` (seconds) if it is set.

    The variable, defined by reproducible-builds.org, gives the same bytes on another day.

    Raises:
        RbmixError: The variable is not a date.
    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not epoch.isdecimal():
        return datetime.now(UTC).date().isoformat()
    try:
        return datetime.fromtimestamp(int(epoch), UTC).date().isoformat()
    except (OSError, OverflowError, ValueError):
        raise RbmixError(f"SOURCE_DATE_EPOCH {epoch} is no date of a calendar") from None


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
