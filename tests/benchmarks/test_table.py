"""The table of measurements, and the file that it is made of."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from robustbench_mix.benchmarks import table


def test_the_table_gives_median_and_range() -> None:
    """One line per row, the range where there is one, the missing peers by name."""
    rows = [
        table.Row("a curve", "a peer", "≥ 3x", [3.0, 4.0, 3.5], "8 images"),
        table.Row("a command", "-", "≤ 3 min", [2.5], unit=" min"),
    ]
    measured = {"pgd": table.Part("some machine", rows, ["timm"])}
    text = table.to_markdown(measured)
    assert "| a curve | a peer | ≥ 3x | 3.5x (3 to 4) | 8 images |" in text
    assert "| a command | - | ≤ 3 min | 2.5 min |  |" in text
    assert "Not installed, so not measured: timm." in text
    assert "`rbmix bench` on some machine." in text
    assert table.from_json(json.loads(json.dumps(table.to_json(measured)))) == measured


@pytest.mark.parametrize(
    ("target", "values", "missed"),
    [
        ("≥ 3x", [1.0, 3.0, 9.0], False),
        ("≥ 3x", [1.0, 2.9, 9.0], True),
        ("≥ 3.5x, inside the bound", [3.4], True),
        ("≤ 1/2", [0.51], True),
        ("≤ 1/2", [0.5], False),
        ("≤ 1.15x", [1.2], True),
        ("≤ 3 min on 2 cores", [2.9], False),
        ("≥ 3x", [], False),
        ("as fast as it goes", [1.0], False),
        ("≤ 1/0", [2.0], True),
    ],
)
def test_a_missed_target_is_marked(target: str, values: list[float], missed: bool) -> None:
    """By the median, whichever way the target goes; no target, or no value, misses none."""
    row = table.Row("a curve", "a peer", target, values)
    assert table.is_missed(row) is missed
    line = f"| {target} | {table.format_values(row)}{' **missed**' if missed else ''} |"
    assert line in table.to_markdown({"pgd": table.Part("some machine", [row])})


def test_each_place_has_a_table_of_its_own() -> None:
    """Rows measured elsewhere, or with other versions, are not mixed."""
    row = table.Row("a curve", "a peer", "≥ 3x", [3.0])
    parts = {"two-step": table.Part("A", [row]), "pgd": table.Part("B", [row])}
    parts["steps"] = table.Part("A", [row], ["timm"])
    text = table.to_markdown(parts)
    assert text.index("on A.") < text.index("timm.") < text.index("on B.")
    assert text.count("| a curve |") == 3
    assert text.count("| work |") == 2


@pytest.mark.parametrize("text", ["\x1b[31mred", "a|b", "<b>", "[a](b)", "a\nb", 3, None])
@pytest.mark.parametrize("name", ["work", "against", "target", "note", "unit"])
def test_rows_hold_what_a_table_can(name: str, text: object) -> None:
    """A cell that a terminal would obey, or that would leave its column, is refused."""
    row = asdict(table.Row("`old` work", "-", "≤ 2x", [1.0]))
    plain = {"memory": {"where": "here", "rows": [row], "skipped": ["timm"]}}
    assert table.to_json(table.from_json(plain)) == plain
    row[name] = text
    with pytest.raises(ValueError, match="no parts"):
        table.from_json(plain)
