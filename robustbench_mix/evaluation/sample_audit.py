"""An audit: dear attacks on a random sample, and what that says about the rest.

The cheap rungs of a ladder are climbed by every image, the dear ones by a random sample.
The sample does not depend on the outcome, so at each epsilon its survivors are a random
sample of all survivors, and a one-sided Clopper-Pearson bound (Biometrika 1934) holds for
the share of them that the dear rungs would have broken.
"""

from __future__ import annotations

from robustbench_mix.attacks.native.ensembles import Rung
from robustbench_mix.attacks.streams import stream
from robustbench_mix.data.dataset import Split
from robustbench_mix.evaluation.state import State
from robustbench_mix.results.headers import Audit
from robustbench_mix.results.intervals import at_most


def audited(state: State, split: Split, ladder: list[Rung], seed: int) -> set[int]:
    """The rows of the sample: so many of the correctly classified images as the rungs say.

    Every image belongs to it where no rung asks for a sample.
    """
    correct = [row for row in range(len(split)) if state.correct[row]]
    size = min((rung.sample for rung in ladder if rung.sample), default=len(correct))
    if size >= len(correct):
        return set(correct)
    return set(sorted(correct, key=lambda row: stream(seed, "audit", int(split.index[row])))[:size])


def hits(state: State, sampled: set[int]) -> list[int]:
    """The rows of the sample that a dear rung broke where the cheap ones had failed."""
    return [row for row in sampled if state.level[row] < state.cheap[row]]


def findings(state: State, split: Split, ladder: list[Rung], seed: int, levels: int) -> list[Audit]:
    """Per epsilon, what the sample says; empty if no rung was for a sample.

    `sampled` survivors of the cheap rungs met the dear ones, `broken` of them fell; at most
    `bound` of all images, with 95 % confidence, stand only because the rest did not meet
    them. The bound is 0 once something fell, for then every image met them.
    """
    if not any(rung.sample for rung in ladder):
        return []
    chosen = audited(state, split, ladder, seed)
    went_on = bool(hits(state, chosen))
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
