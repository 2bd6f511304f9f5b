"""Markdown of this package's own words as HTML."""

from __future__ import annotations

from robustbench_mix.claims import page, verdicts
from robustbench_mix.claims.report.emphasis import emphasise


def test_marks_become_tags_and_all_else_is_escaped() -> None:
    """Strong words, emphasis and code."""
    assert emphasise("a *b* **c d** `e` <f> & 3 * 4") == (
        "a <em>b</em> <strong>c d</strong> <code>e</code> &lt;f&gt; &amp; 3 * 4"
    )


def test_no_mark_is_left_in_the_words_of_the_report() -> None:
    """Neither in the method nor in statement or test of a claim."""
    words = [page.METHOD]
    for claim in verdicts.all_claims([], []):
        words += [claim.statement, claim.test]
    for one in words:
        assert not set("*`") & set(emphasise(one))
