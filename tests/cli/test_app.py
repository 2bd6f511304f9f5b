"""What the program says of itself."""

from __future__ import annotations

import pytest

from robustbench_mix import __version__


def test_help_version_and_no_arguments(rbmix) -> None:
    """Help lists the commands, also without arguments; the version is the package's."""
    code, out, _ = rbmix("--help")
    assert code == 0
    for command in ("evaluate", "train", "models", "attacks", "leaderboard"):
        assert command in out
    assert rbmix()[:2] == (0, out)
    assert rbmix("--version") == (0, f"rbmix {__version__}\n", "")


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
