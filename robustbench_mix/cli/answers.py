"""What commands share around their work: the folder of results, messages, and the answer."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from robustbench_mix.errors import RbmixError
from robustbench_mix.runtime import output, progress
from robustbench_mix.storage import remote
from robustbench_mix.storage.paths import default_results_folder, is_folder

logger = logging.getLogger(__name__)


def choose_folder(given: Path | None, quiet: bool, *inside: str) -> Path:
    """Return the named folder, or the default one; log if the default is not `results`.

    Args:
        given: The folder that the user named; None takes the default.
        quiet: Whether to show no messages from now on.
        inside: Path from the default folder of results, as parts.
    """
    progress.set_quiet(quiet)
    if given is not None:
        return given
    usual = default_results_folder()
    if usual != Path("results"):
        logger.info(
            f"in this checkout of rbmix results are kept in {usual}, apart from the committed "
            "ones in results (which have to be named)"
        )
    return usual.joinpath(*inside)


def load_torch(quiet: bool) -> None:
    """Log that PyTorch will be imported, which takes seconds, unless it is imported already.

    Commands call it after they have checked their words by making a plan. From then on nothing but
    their answer is printed.

    Args:
        quiet: Whether to show no messages from now on.
    """
    progress.set_quiet(quiet)
    output.keep_stdout()
    if "torch" not in sys.modules:
        logger.info("loading PyTorch")


def print_answer(as_json: bool, quiet: bool, data: Any, show: Callable[[], None]) -> None:
    """Print the result of a command: as one JSON value, for people, or not at all.

    JSON has no NaN and no infinity: they become null.

    Args:
        as_json: Whether to print JSON.
        quiet: Whether to print nothing for people.
        data: The result as plain values.
        show: Prints the result for people.
    """
    output.release_stdout()
    if as_json:
        plain = json.loads(json.dumps(data), parse_constant=lambda _: None)
        print(json.dumps(plain, indent=2))
    elif not quiet:
        show()


def paths_json(paths: Iterable[Path]) -> dict[str, list[str]]:
    """Return the files that a command wrote, for its JSON."""
    return {"paths": [remote.display_name(path) for path in paths]}


def require_folder(folder: Path) -> Path:
    """Return the folder if it exists; raise RbmixError otherwise."""
    if not is_folder(folder):
        raise RbmixError(f"results folder {folder} does not exist")
    return folder
