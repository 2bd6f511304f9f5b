"""What the program says of itself."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
import typer

from robustbench_mix import __version__, cli

GROUP: Any = typer.main.get_command(cli.app)
COMMANDS: dict[str, Any] = GROUP.commands
GROUPS = {"Model", "Data", "Attack", "Training", "Gate", "Entry", "Machine", "Output"}
NARROW = 80  # columns of a terminal


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A narrow terminal without colours."""
    monkeypatch.setenv("COLUMNS", str(NARROW))
    monkeypatch.setenv("NO_COLOR", "1")


def test_help_version_and_no_arguments(rbmix) -> None:
    """Help lists the commands, also without arguments; the version is the package's."""
    code, out, _ = rbmix("--help")
    assert code == 0
    for command in ("evaluate", "train", "models", "attacks", "leaderboard"):
        assert command in out
    assert rbmix()[:2] == rbmix("-h")[:2] == (0, out)
    assert rbmix("--version") == rbmix("-V") == (0, f"rbmix {__version__}\n", "")


def test_every_summary_fits_on_its_line(rbmix) -> None:
    """In a narrow terminal, whole: none wraps, and none ends in dots."""
    lines = [line.strip("│ ").split(maxsplit=1) for line in rbmix("--help")[1].splitlines()]
    shown = {line[0]: line[1] for line in lines if len(line) == 2 and line[0] in COMMANDS}
    assert shown == {
        name: " ".join(command.help.split("\n\n")[0].split()).replace("`", "")
        for name, command in COMMANDS.items()
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_options_are_in_groups(name: str) -> None:
    """Every option of a command is in one of the groups."""
    options = [one for one in COMMANDS[name].params if one.param_type_name == "option"]
    alone = [one.name for one in options if one.rich_help_panel not in GROUPS]
    assert alone in ([], ["help"])


def test_groups_are_shown(rbmix) -> None:
    """In the order in which one thinks of them."""
    out = rbmix("evaluate", "-h")[1]
    titles = [line.split()[1] for line in out.splitlines() if line.startswith("╭─")]
    assert titles == ["Options", "Model", "Data", "Attack", "Training", "Machine", "Output"]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_two_examples(name: str, rbmix) -> None:
    """The command line knows their options, and the help shows each on one line, to be copied."""
    examples = [
        line.removeprefix("* `rbmix ").removesuffix("`")
        for line in COMMANDS[name].epilog.splitlines()
        if line.startswith("* ")
    ]
    assert len(set(examples)) == 2
    shown = [line.strip("• ") for line in rbmix(name, "-h")[1].splitlines()]
    for example in examples:
        command, *words = shlex.split(example)
        assert command == name
        assert f"rbmix {example}" in shown
        COMMANDS[name].make_context(name, words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["evalute"], "No such command 'evalute'"),
        (["--nothing"], "No such option: --nothing"),
        (["attacks", "more"], "unexpected extra argument"),
    ],
)
def test_wrong_command_lines_are_one_line(rbmix, words: list[str], message: str) -> None:
    """On standard error, with exit code 2."""
    code, out, err = rbmix(*words)
    assert (code, out) == (2, "")
    assert err.startswith("rbmix: ")
    assert err.count("\n") == 1
    assert message in err
