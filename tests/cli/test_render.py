"""Tables in the terminal."""

from __future__ import annotations

from pathlib import Path

from robustbench_mix.cli import render
from robustbench_mix.results.regression.comparison import Check, Verdict


def test_names_are_no_markup(capsys) -> None:
    """What a baseline says is shown as it is, whatever it means to the terminal's library."""
    checks = [Check("protocol", "[/]", "[red]x[/red]"), Check("flags", ":smile:", "none")]
    render.verdicts([Verdict(Path("[bold]a.csv"), checks, [])], [])
    shown = capsys.readouterr().out
    assert all(words in shown for words in ("[/]", "[red]x[/red]", ":smile:", "[bold]a.csv"))
