"""All that the records say: claims, explanations, answers and the state of the plans."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from robustbench_mix.claims import summary, verdicts
from robustbench_mix.claims.claim import Claim
from robustbench_mix.claims.explanations import overview
from robustbench_mix.claims.explanations.table import Explanation
from robustbench_mix.claims.summary import Answer
from robustbench_mix.results import analysis_plan, unshuffling
from robustbench_mix.results.analysis_plan import AnalysisPlan
from robustbench_mix.results.records import Run


@dataclass(frozen=True)
class Analysis:
    """What the page of claims shows.

    Attributes:
        claims: The claims, with their verdicts.
        explanations: The explanations of the gap.
        answers: The answer to each question.
        plans: One sentence about each analysis plan.
    """

    claims: list[Claim]
    explanations: list[Explanation]
    answers: list[Answer]
    plans: list[str]


def analyse(results: Path, runs: list[Run], plans: list[AnalysisPlan]) -> Analysis:
    """Analyse the runs, and the probes and un-shufflings under `results`.

    Args:
        results: The results folder.
        runs: All runs in it.
        plans: All analysis plans in it.
    """
    found = verdicts.all_claims(runs, unshuffling.read_all(results), plans)
    return Analysis(
        found,
        overview.explanations_of(results, runs),
        summary.answers(found, runs),
        [analysis_plan.state(plan, runs) for plan in plans],
    )
