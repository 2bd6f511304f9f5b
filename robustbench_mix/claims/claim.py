"""Findings, the comparisons behind a claim, and the verdict that follows from them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from robustbench_mix.results.design import LEAST_SEEDS, MOST_SEEDS, enough
from robustbench_mix.results.intervals import format_signed
from robustbench_mix.results.random_effects import SIGNIFICANCE, Components, components
from robustbench_mix.results.statistics import Difference, difference, holm

HOLDS, IN_PART, FAILS, OPEN = (
    "holds", "holds in part", "does not hold", "not enough evidence",
)  # fmt: skip
YES, NO, UNDECIDED, EMPTY, ONE_SEED = "yes", "no", "open", "nothing left", "one seed"
NOT_ASKED = EMPTY, ONE_SEED  # answers of findings that a verdict leaves out
LEAST = 0.01  # the smallest gap of accuracies that matters, as a share
# An interval with this share of an effect as half-width finds it with a power of 0.8:
# 1.96 / (1.96 + 0.84).
WIDTH = 0.7
MOST_IMAGES = 10**7  # where `enough` gives up


@dataclass(frozen=True)
class Finding:
    """A difference, second minus first, where it was measured, and the paper's figure for it.

    Attributes:
        where: Model, training, attack and epsilon, which distinguish it within the claim.
        first, second: Means over seeds and images, in the unit of the claim (shares or dB).
        difference: The difference of the two, with its interval and tests.
        parts: Its variance components; None for one seed or one image.
        standing: Share of the images that the better of the two keeps.
        paper: The paper's difference, in the same unit; None if it has none.
        corrected: The p-value that decides, Holm-corrected within the claim.
        answer: The answer to the question of the claim.
        need: If the answer is open, the seeds and images that would decide it.
        is_main: Whether it represents its model (`mark_main`).
    """

    where: dict[str, str]
    first: float
    second: float
    difference: Difference
    parts: Components | None
    standing: float
    paper: float | None = None
    corrected: float = 1.0
    answer: str = UNDECIDED
    need: str = ""
    is_main: bool = False


@dataclass(frozen=True)
class Claim:
    """A statement, its test on one data set, the findings, and the verdict.

    Attributes:
        margin: The smallest difference that matters, in the unit of the findings.
        is_bound: True if the claim is that at most the margin is lost (non-inferiority), False if
            it is a gain (superiority).
    """

    number: str
    title: str
    statement: str
    test: str
    findings: list[Finding] = field(default_factory=list)
    verdict: str = OPEN
    reason: str = "no records"
    data: str = ""
    unit: str = "pp"
    sides: tuple[str, str] = ("learned", "frozen")
    margin: float = LEAST
    is_bound: bool = False

    @property
    def name(self) -> str:
        """Number and title, as in headings."""
        return f"{self.number}. {self.title}"

    @property
    def scale(self) -> int:
        """The factor for displayed values: shares are shown in percentage points."""
        return 100 if self.unit == "pp" else 1

    @property
    def measured(self) -> str:
        """The main finding of each model, with its interval."""
        main = [finding for finding in self.findings if finding.is_main]
        shown = []
        for finding in main:
            found, where = finding.difference, finding.where
            words = format_signed(found.point, found.low, found.high, self.scale)
            # Beside model and epsilon, name what differs between findings.
            place = " ".join(
                where[name]
                for name in where
                if name in ("model", "eps") or len({one.where.get(name) for one in main}) > 1
            )
            shown.append(f"{place}: {words} {self.unit}")
        return "; ".join(shown)


def compare(
    first: np.ndarray, second: np.ndarray, paper: float | None, where: dict[str, str]
) -> Finding:
    """Compare twins and return the finding.

    Args:
        first, second: Values, (seeds, images): bool, whether an image is kept, or dB.
        paper: The paper's difference of such means; None if it has none.
        where: Model, training, attack and epsilon, which distinguish it within the claim.
    """
    gain = second.astype(float) - first.astype(float)
    return Finding(
        where=where,
        first=float(first.mean()),
        second=float(second.mean()),
        difference=difference(first, second),
        parts=components(gain) if min(gain.shape) > 1 else None,
        standing=max(float(first.mean()), float(second.mean())),
        paper=paper,
    )


def judge(claim: Claim) -> Claim:
    """Return the claim with corrected p-values, answers, needs and a verdict."""
    decide = _is_not_below if claim.is_bound else _is_greater
    tests = [_deciding_p(finding, claim) for finding in claim.findings]
    findings = []
    for finding, p in zip(claim.findings, holm(tests), strict=True):
        finding = replace(finding, corrected=p)
        answer, missing = decide(finding, claim.margin), LEAST_SEEDS - finding.difference.seeds
        need = _need(finding, claim) if answer == UNDECIDED else ""
        if answer != EMPTY and missing > 0 and (need == "" or finding.parts is None):
            answer, need = UNDECIDED, f"{missing} more seed" + ("s" if missing > 1 else "")
        if answer != EMPTY and finding.difference.seeds == 1:
            answer = ONE_SEED
        findings.append(replace(finding, answer=answer, need=need))
    verdict, reason = _verdict(findings)
    return replace(claim, findings=mark_main(findings), verdict=verdict, reason=reason)


def mark_main(findings: list[Finding]) -> list[Finding]:
    """Mark the finding of each model at the epsilon where about half of the images stand.

    Findings without an epsilon are all main ones. A model without a standing image has none.
    """
    sets: dict[tuple[str, ...], list[int]] = {}
    for at, finding in enumerate(findings):
        if finding.answer not in NOT_ASKED:
            place = tuple(value for name, value in finding.where.items() if name != "eps")
            sets.setdefault(place, []).append(at)
    main = {min(those, key=lambda at: abs(findings[at].standing - 0.5)) for those in sets.values()}
    return [replace(finding, is_main=at in main) for at, finding in enumerate(findings)]


def _deciding_p(finding: Finding, claim: Claim) -> float:
    """Return the two-sided p of the test behind a yes."""
    found = finding.difference
    return min(1.0, 2 * found.p_above(-claim.margin)) if claim.is_bound else found.p


def _is_greater(finding: Finding, margin: float) -> str:
    """Say yes if the second is greater, no if it is smaller or a gain of the margin is excluded."""
    found = finding.difference
    if finding.standing < LEAST:
        return EMPTY
    if finding.corrected < SIGNIFICANCE and found.low > 0:
        return YES
    if finding.corrected < SIGNIFICANCE and found.high < 0:
        return NO
    return NO if found.p_below(margin) < SIGNIFICANCE / 2 else UNDECIDED


def _is_not_below(finding: Finding, margin: float) -> str:
    """Say yes if less than the margin is lost, no if the loss is shown to be larger."""
    if finding.corrected < SIGNIFICANCE:
        return YES
    return NO if finding.difference.p_below(-margin) < SIGNIFICANCE / 2 else UNDECIDED


def _verdict(findings: list[Finding]) -> tuple[str, str]:
    """Return the verdict that follows from all answers, and the counts behind it."""
    asked = [finding for finding in findings if finding.answer not in NOT_ASKED]
    if not asked:
        if any(finding.answer == ONE_SEED for finding in findings):
            return OPEN, "one seed"
        return OPEN, "nothing to compare" if findings else "no records"
    counts = {answer: sum(f.answer == answer for f in asked) for answer in (YES, NO, UNDECIDED)}
    total = len(asked)
    if counts[YES] == total:
        return HOLDS, f"in {_count_comparisons(total, total)}"
    if counts[YES]:
        rest = f"not in {counts[NO]}, open in {counts[UNDECIDED]}"
        return IN_PART, f"in {_count_comparisons(counts[YES], total)}; {rest}"
    if counts[UNDECIDED]:
        return OPEN, f"open in {_count_comparisons(counts[UNDECIDED], total)}"
    return FAILS, f"in none of {total}"


def _count_comparisons(count: int, total: int) -> str:
    return f"{count} of {total} comparison" + ("s" if total > 1 else "")


def _need(finding: Finding, claim: Claim) -> str:
    """Return how many seeds, on the same or more images, would find the effect."""
    seeds, images = finding.difference.seeds, finding.difference.images
    if finding.parts is None:
        return "more seeds"
    effect = abs(finding.paper or claim.margin)
    if claim.is_bound:  # the question is on which side of the margin the difference lies
        effect = max(abs(finding.difference.point + claim.margin), claim.margin / 10)
    needed, images = enough(
        finding.parts, images, WIDTH * effect, least_seeds=LEAST_SEEDS, most_images=MOST_IMAGES
    )
    found = f"{claim.scale * effect:.2g} {claim.unit}"
    if needed == MOST_SEEDS:
        return f"more than {MOST_SEEDS:,} seeds for {found}"
    return f"{max(needed, seeds + 1)} seeds x {images:,} images for {found}"
