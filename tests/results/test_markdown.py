"""Lines of Markdown tables."""

from __future__ import annotations

import pytest

from robustbench_mix.results.markdown import head, line, plain


def test_a_table_has_as_many_rules_as_titles() -> None:
    """Anything can be a cell, also nothing."""
    assert head(["a", "b c"]) == ["| a | b c |", "| --- | --- |"]
    assert line([1, 0.5, None, ""]) == "| 1 | 0.5 | None |  |"


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a|b", r"a\|b"),
        ("`x`", r"\`x\`"),
        ("<b>", r"\<b>"),
        ("[a](b)", r"[a\](b)"),
        ("\\", "\\\\"),
        ("a \n\t b", "a b"),
        ("[0.1, 0.2]", "[0.1, 0.2]"),
        ("**holds**", "**holds**"),
    ],
)
def test_texts_stay_in_their_cell(text: str, escaped: str) -> None:
    """Cells, code, links, tags and line ends are escaped; intervals and emphasis stay."""
    assert plain(text) == escaped
    assert line([text, "x"]) == f"| {escaped} | x |"
