"""Audit: expensive attacks on a random sample, and a bound for the other images.

Every image meets the cheap stages of an ensemble, a random sample the expensive ones.
The sample does not depend on the outcome, so at each epsilon its survivors are a random
sample of all survivors, and a one-sided Clopper-Pearson bound (Biometrika 1934) holds for
the share of them that the expensive stages would have broken.
"""

from __future__ import annotations

from robustbench_mix.attacks.base import Stage
from robustbench_mix.attacks.streams import stream
from robustbench_mix.data.dataset import Split
from robustbench_mix.evaluation.state import State
from robustbench_mix.results.headers import Audit
from robustbench_mix.results.intervals import at_most


def audited_rows(state: State, split: Split, stages: list[Stage], seed: int) -> set[int]:
    """Return the rows of the sample: as many correctly classified images as the stages demand.

    If no stage demands a sample, every such image belongs to it.

    Args:
        state: The state of the run, for the clean predictions.
        split: The images.
        stages: The stages.
        seed: The seed of the run.
    """
    correct = [row for row in range(len(split)) if state.correct[row]]
    size = min((stage.sample for stage in stages if stage.sample), default=len(correct))
    if size >= len(correct):
        return set(correct)
    return set(sorted(correct, key=lambda row: stream(seed, "audit", int(split.index[row])))[:size])


def rows_broken_by_sample(state: State, sampled: set[int]) -> list[int]:
    """Return the rows that an expensive stage broke where the cheap ones had failed."""
    return [row for row in sampled if state.level[row] < state.cheap[row]]


def findings(
    state: State, split: Split, stages: list[Stage], seed: int, levels: int
) -> list[Audit]:
    """Return the audit at each epsilon; empty if no stage was for a sample.

    `sampled` survivors of the cheap stages met the expensive ones, and `broken` of them fell. With
    95 % confidence, at most `bound` of all images stand only because they did not meet the
    expensive stages. The bound is 0 once one fell, because then every image met them.

    Args:
        state: The state at the end of the run.
        split: The images.
        stages: The stages, cheapest first.
        seed: The seed of the run.
        levels: Number of epsilons.
    """
    if not any(stage.sample for stage in stages):
        return []
    chosen = audited_rows(state, split, stages, seed)
    went_on = bool(rows_broken_by_sample(state, chosen))
    cheap = [c if c >= 0 else level for c, level in zip(state.cheap, state.level, strict=True)]
    rows = [row for row in range(len(split)) if state.correct[row]]
    found = []
    for at in range(levels):
        sampled = [row for row in chosen if cheap[row] > at]
        unmet = sum(cheap[row] > at for row in rows) - len(sampled)
        broken = sum(state.level[row] <= at for row in sampled)
        bound = 0.0 if went_on or not unmet else at_most(broken, len(sampled)) * unmet / len(split)
        found.append(Audit(sampled=len(sampled), broken=broken, bound=bound))
    return found
