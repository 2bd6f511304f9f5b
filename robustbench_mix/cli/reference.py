"""The command line as a page of Markdown: `python -m robustbench_mix.cli.reference`."""

from __future__ import annotations

from typing import Any

import typer

from robustbench_mix import cli
from robustbench_mix.results.markdown import head, line

INTRODUCTION = """\
# The command line

Made from the commands' own `--help` (`python -m robustbench_mix.cli.reference`).

Exit codes: 0 done; 1 a check that failed; 2 wrong input, in one line on standard error that names
the value and what is allowed; 130 interrupted. What a command says goes to standard output, its
progress to standard error: a bar on a terminal, elsewhere a plain line at least every 30 seconds.
With `--json` a command prints one JSON value on standard output and is silent otherwise; with
`--quiet` it prints nothing, unless something is wrong or a check failed. `NO_COLOR` is respected.
`RBMIX_HOME` is where trained checkpoints and decoded images are kept, by default the user's cache
folder.

`rbmix --install-completion` teaches your shell (bash, zsh, fish, PowerShell) to complete commands,
options and the names of models, data sets, mixers, attacks and sweeps; `rbmix --show-completion`
prints what that would install.

Within a checkout of rbmix itself `results` holds committed evidence: unless a folder is named, all
commands keep what they make in `local-results` there, which git ignores, and read it from there.
"""


def to_markdown() -> str:
    """One section for each command, with every argument and option."""
    group: Any = typer.main.get_command(cli.app)
    parts = [INTRODUCTION]
    for name, command in group.commands.items():
        parameters = [p for p in command.params if p.name != "help"]
        arguments = [p for p in parameters if p.param_type_name == "argument"]
        words = "".join(f" {p.name.upper()}" for p in arguments)
        parts += [f"## `rbmix {name}{words}`", "", command.help.strip(), ""]
        if parameters:
            rows = [line([_name(p), _default(p), p.help or ""]) for p in parameters]
            parts += [*head(["word", "default", "meaning"]), *rows, ""]
    return "\n".join(parts).rstrip("\n") + "\n"


def _name(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{parameter.name.upper()}`"
    return ", ".join(f"`{word}`" for word in parameter.opts)


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    # Where the default depends on where one is, the usual one is named.
    named = isinstance(parameter.show_default, str)
    default = parameter.show_default if named else parameter.default
    return "" if default is None or default is False else f"`{default}`"


if __name__ == "__main__":
    print(to_markdown(), end="")
