"""The command line: parse, call, print."""

from __future__ import annotations

import io
import sys
from typing import Any

import typer

from robustbench_mix.cli import (
    describe,
    evaluate,
    export,
    gate,
    lists,
    measure,
    reports,
    sweep,
    zoo,
)
from robustbench_mix.cli.app import app
from robustbench_mix.errors import RbmixError, is_out_of_memory, one_line
from robustbench_mix.runtime import output
from robustbench_mix.runtime.progress import ignore_library_warnings

__all__ = [
    "app",
    "describe",
    "entry",
    "evaluate",
    "export",
    "gate",
    "lists",
    "main",
    "measure",
    "reports",
    "sweep",
    "zoo",
]

# Typer's base class of all errors of a wrong command line, in every version.
UsageError: type[Any] = typer.BadParameter.__base__ or typer.BadParameter

INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit code.

    The code is 0 for success, 1 for a failed check, 2 for wrong input, 130 for an interruption.
    """
    given = sys.argv[1:] if arguments is None else arguments
    if isinstance(sys.stdout, io.TextIOWrapper):  # its encoding may not contain a path's characters
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with output.warnings_as_messages():
            ignore_library_warnings()
            result: Any = app(args=given or ["--help"], prog_name="rbmix", standalone_mode=False)
        code = result if isinstance(result, int) else 0
    except RbmixError as error:
        return _fail(str(error), *error.details)
    except UsageError as error:
        return _fail(error.format_message())
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return _fail("out of memory; fewer --examples or a smaller --batch-size need less")
    except OSError as error:  # the system refuses something, for example a path that is too long
        return _fail(f"{error.filename or 'system'}: {error.strerror or error}")
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    finally:
        output.release_stdout()
    if code == INTERRUPTED:
        print(
            "interrupted; nothing half-written is left, the same command goes on from there",
            file=sys.stderr,
        )
    return code


def _fail(message: str, *details: str) -> int:
    print(f"rbmix: {one_line(message)}", file=sys.stderr)
    for line in details:
        print(f"  {one_line(line)}", file=sys.stderr)
    return 2


def entry() -> None:
    """Run the console script."""
    sys.exit(main())
