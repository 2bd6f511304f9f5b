"""The application that the commands register with, and the groups of its help."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Annotated, TypeVar

import typer

from robustbench_mix import __version__

Command = TypeVar("Command", bound=Callable[..., None])

app = typer.Typer(
    name="rbmix",
    help="Is a network whose spatial mixers stay random really more robust than its learned twin?",
    epilog="`rbmix COMMAND -h` shows the options of a command, and two examples.",
    rich_markup_mode="markdown",  # it wraps paragraphs; the other modes keep the source's lines
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# The options of a command, in groups: each is `typer.Option` with the title of its group.
model_option = partial(typer.Option, rich_help_panel="Model")
data_option = partial(typer.Option, rich_help_panel="Data")
attack_option = partial(typer.Option, rich_help_panel="Attack")
training_option = partial(typer.Option, rich_help_panel="Training")
gate_option = partial(typer.Option, rich_help_panel="Gate")
entry_option = partial(typer.Option, rich_help_panel="Entry")
machine_option = partial(typer.Option, rich_help_panel="Machine")
output_option = partial(typer.Option, rich_help_panel="Output")

# The groups of commands, in the order of the help.
NETWORKS, RESULTS = "Train and attack", "Read the results"
GATE, LISTS = "Check and measure", "Lists"


def command(group: str, *examples: str) -> Callable[[Command], Command]:
    """Register a function as the command of its name.

    The first paragraph of its docstring is the summary in the list of commands.

    Args:
        group: The group of commands that it belongs to.
        examples: Whole command lines, which the help shows.
    """

    def register(function: Command) -> Command:
        summary = (inspect.getdoc(function) or "").split("\n\n")[0].replace("\n", " ")
        shown = "\n".join(["Examples:", "", *(f"* `{line}`" for line in examples)])
        return app.command(short_help=summary, epilog=shown, rich_help_panel=group)(function)

    return register


def _version(wanted: bool) -> None:
    if wanted:
        print(f"rbmix {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", "-V", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass
