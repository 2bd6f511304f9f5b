"""Tables in the terminal."""

from __future__ import annotations

from pathlib import Path

from robustbench_mix.claims.explanations.table import Explanation
from robustbench_mix.cli import render
from robustbench_mix.results.regression.comparison import Check, Verdict


def test_an_explanation_has_its_table_and_what_it_shows(capsys) -> None:
    """Model and data are in the title, not in every row."""
    columns = ["data", "model", "spatial", "seeds", "learned", "other"]
    rows = [["digits", "[red]net", "frozen", "1", "0.5", "0.75"]]
    one = Explanation("linearity", "Linearity", "Shows this.", "It cannot that.", columns, rows)
    render.explanations([one], [Path("a.parquet")], [])
    lines = capsys.readouterr().out.splitlines()
    assert "Linearity: [red]net on digits" in " ".join(line.strip() for line in lines[:3])
    cells = [[c.strip() for c in line.split("│")[1:-1]] for line in lines if "│" in line]
    assert cells == [["frozen", "0.5", "0.75"]]
    assert lines[-1] == "wrote a.parquet"
    said = " ".join(" ".join(lines).split())
    assert "Shows this. It cannot that." in said


def test_a_learned_network_alone_is_explained_by_nothing(capsys) -> None:
    """It is said what to measure."""
    render.explanations([], [], [])
    assert "--spatial frozen measures its twin too" in capsys.readouterr().out


def test_names_are_no_markup(capsys) -> None:
    """What a baseline says is shown as it is, whatever it means to the terminal's library."""
    checks = [Check("protocol", "[/]", "[red]x[/red]"), Check("flags", ":smile:", "none")]
    render.verdicts([Verdict(Path("[bold]a.csv"), checks, [])], [])
    shown = capsys.readouterr().out
    assert all(words in shown for words in ("[/]", "[red]x[/red]", ":smile:", "[bold]a.csv"))
