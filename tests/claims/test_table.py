"""Explanations as sections of a page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robustbench_mix.claims.explanations import table
from robustbench_mix.claims.explanations.table import Drawing, Explanation


def nothing(_: Any) -> None:
    """An empty drawing."""


def explanation(**changes: Any) -> Explanation:
    """One of two columns and one row."""
    given = {"columns": ["a", "b"], "rows": [["1", "x|y"]], **changes}
    return Explanation("name", "A title", "Shows this.", "Not that.", **given)


def test_a_section_has_title_words_and_table() -> None:
    """Cells are escaped; drawings lie in the folder that is named."""
    drawings = [Drawing("name", "d.svg", "a `curve`", nothing)]
    assert table.section_lines(explanation(drawings=drawings), "../why") == [
        "### A title", "", "Shows this. Not that.", "",
        "| a | b |", "| --- | --- |", r"| 1 | x\|y |", "", r"![a \`curve\`](../why/d.svg)",
    ]  # fmt: skip


def test_without_records_there_is_no_table() -> None:
    """Nor a drawing of nothing."""
    drawings = [Drawing("name", "d.svg", "nothing", nothing)]
    lines = table.section_lines(explanation(rows=[], drawings=drawings))
    assert lines[-1] == "No records."
    assert not any(line.startswith(("|", "!")) for line in lines)


def test_differences_are_in_points() -> None:
    """With an interval around the mean."""
    gains = np.array([[1, 0, 0, 1], [0, 0, 1, 0], [1, 0, 0, 0]])
    mean, low, high = table.points(gains).replace("[", "").replace("]", "").split()
    assert mean == "+33.3"
    assert float(low.rstrip(",")) < 33.3 < float(high)


def test_without_variance_the_interval_has_no_width() -> None:
    """All seeds and images alike."""
    assert table.interval(np.full((2, 3), 0.5), ".2f") == "0.50 [0.50, 0.50]"
    assert table.points(np.zeros((2, 3), int)) == "+0.0 [+0.0, +0.0]"


def test_shares_are_in_per_cent() -> None:
    """Of nothing there is none."""
    assert table.percent(np.array([[True, False, False]])) == "33.3"
    assert table.percent(np.array([])) == "-"


@pytest.mark.default
def test_drawings_are_written_once(tmp_path: Path) -> None:
    """Those of all explanations, into one folder."""
    both = [explanation(drawings=[Drawing("name", f"{at}.svg", "", nothing)]) for at in ("a", "b")]
    written = table.draw(tmp_path, both)
    assert [path.relative_to(tmp_path).as_posix() for path in written] == ["why/a.svg", "why/b.svg"]
    assert "<svg" in written[0].read_text()
    assert table.draw(tmp_path, both) == []
