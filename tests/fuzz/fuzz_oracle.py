"""What every call may do, whatever it is given: succeed, or refuse in one line. Nothing else."""

from __future__ import annotations

import contextlib
import io
import time
import warnings
from collections.abc import Callable
from pathlib import Path

from robustbench_mix import cli
from robustbench_mix.errors import RbmixError

SECONDS = 20.0  # of the processor: far above what any input takes, however busy the machine


def check(call: Callable[[], object], folder: Path) -> str:
    """`done` or `refused`; AssertionError if the call did anything else, in `folder` or at all."""
    started = time.process_time()
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("error")
        try:
            call()
            outcome = "done"
        except RbmixError as error:
            outcome = "refused"
            assert _is_one_line(str(error)), f"not one printable line: {str(error)!r}"
    assert time.process_time() - started < SECONDS, "too slow"
    _check_left(folder)
    return outcome


def check_command(arguments: list[str], folder: Path) -> str:
    """The same of a command line: exit code 0 or 1, or 2 with one `rbmix: ` line.

    Nothing that it prints has a character that terminals obey.
    """
    started = time.process_time()
    out, err = io.StringIO(), io.StringIO()
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        warnings.simplefilter("error")
        code = cli.main(arguments)
    assert code in (0, 1, 2), f"exit code {code}"
    said = err.getvalue()
    assert "\x1b" not in out.getvalue(), "the terminal would obey what is printed"
    lines = [line for line in said.split("\n") if line.startswith("rbmix: ")]
    assert len(lines) == (code == 2), f"exit code {code} with {said!r}"
    assert "Traceback" not in said
    assert all(_is_one_line(line) for line in said.split("\n")), f"not printable: {said!r}"
    assert time.process_time() - started < SECONDS, "too slow"
    _check_left(folder)
    return "refused" if code == 2 else "done"


def _is_one_line(text: str) -> bool:
    return text.isprintable() and len(text) < 2000


def _check_left(folder: Path) -> None:
    left = [path.name for path in folder.rglob("*") if ".part" in path.name.replace(".partial", "")]
    assert not left, f"half-written: {left}"
