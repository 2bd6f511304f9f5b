"""The application that the commands register with."""

from __future__ import annotations

from typing import Annotated

import typer

from robustbench_mix import __version__

app = typer.Typer(
    name="rbmix",
    help="Is a network whose spatial mixers stay random really more robust than its learned twin?",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"rbmix {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass
