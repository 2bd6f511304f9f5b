"""Words of the commands that train and attack become one plan."""

from __future__ import annotations

import pytest

from robustbench_mix import cli


def rbmix(capsys, *arguments: str) -> tuple[int, str, str]:
    """Run a command in this process: exit code, standard output, standard error."""
    code = cli.main(list(arguments))
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        (["--adversarial", "--adversarial-eps", "9"], "epsilon '9' is above 1"),
        (["--adversarial-eps", "1/16"], "--adversarial-eps 1/16 needs --adversarial"),
    ],
)
def test_adversarial_options_are_checked(capsys, words, fragment: str) -> None:
    """A wrong or useless radius is one line and exit code 2."""
    code, _, err = rbmix(capsys, "train", *words)
    assert code == 2
    assert fragment in err
