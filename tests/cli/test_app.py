"""What the program says of itself."""

from __future__ import annotations

from robustbench_mix import __version__, cli


def rbmix(capsys, *arguments: str) -> tuple[int, str, str]:
    """Run a command in this process: exit code, standard output, standard error."""
    code = cli.main(list(arguments))
    out, err = capsys.readouterr()
    return code, out, err


def test_help_version_and_no_arguments(capsys) -> None:
    """Help lists the commands, also without arguments; the version is the package's."""
    code, out, _ = rbmix(capsys, "--help")
    assert code == 0
    for command in ("evaluate", "train", "models", "attacks", "leaderboard"):
        assert command in out
    assert rbmix(capsys)[:2] == (0, out)
    assert rbmix(capsys, "--version") == (0, f"rbmix {__version__}\n", "")
