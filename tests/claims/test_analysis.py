"""The analysis of a results folder."""

from __future__ import annotations

from pathlib import Path

from robustbench_mix.claims.analysis import analyse
from robustbench_mix.results import analysis_plan, records


def test_an_analysis_has_all_that_the_page_shows(results: Path) -> None:
    """Every claim, three answers with their verdicts, and a sentence for each plan."""
    runs = records.read_all(results)
    plan = analysis_plan.make("a sweep", [], {})
    found = analyse(results, runs, [plan])
    assert len(found.answers) == 3
    first = found.claims[0]
    assert found.answers[0].verdicts.get(first.data, first.verdict) == first.verdict
    assert found.plans == [analysis_plan.state(plan, runs)]
    assert {one.name for one in found.explanations} >= {"strength", "static"}
