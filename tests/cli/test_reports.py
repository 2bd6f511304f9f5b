"""The commands that list what there is, and that derive tables."""

from __future__ import annotations

import json

from robustbench_mix import cli


def rbmix(capsys, *arguments: str) -> tuple[int, str, str]:
    """Run a command in this process: exit code, standard output, standard error."""
    code = cli.main(list(arguments))
    out, err = capsys.readouterr()
    return code, out, err


def test_attacks_are_listed(capsys) -> None:
    """Every protocol, for people and for programs."""
    names = [p["name"] for p in json.loads(rbmix(capsys, "attacks", "--json")[1])]
    out = rbmix(capsys, "attacks")[1]
    assert all(name in out for name in names)
