"""One comparison behind a claim, and what a set of them says."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from robustbench_mix.results.design import MOST_SEEDS, half_width, seeds_for
from robustbench_mix.results.random_effects import SIGNIFICANCE, Components, components
from robustbench_mix.results.statistics import Difference, difference, holm

HOLDS, IN_PART, FAILS, OPEN = (
    "holds", "holds in part", "does not hold", "not enough evidence",
)  # fmt: skip
YES, NO, UNDECIDED, EMPTY, ONE_SEED = "yes", "no", "open", "nothing left", "one seed"
NOT_ASKED = EMPTY, ONE_SEED  # answers of findings that a verdict leaves out
SEEDS = 6  # fewer say too little about training: six agree by chance once in 32 times
LEAST = 0.01  # the smallest gap of accuracies that would matter, as a share
# A half-width of this share of an effect finds it with a power of 0.8: 1.96 / (1.96 + 0.84).
WIDTH = 0.7


@dataclass(frozen=True)
class Finding:
    """A difference, second minus first, where it was measured, and what the paper has there.

    Attributes:
        where: What tells it from the others of the claim: model, training, attack, epsilon.
        first, second: Means over seeds and images, in the unit of the claim (shares or dB).
        difference: Of these, with its interval and tests.
        parts: Its variance components; None for one seed or one image.
        standing: Share of the images that the better of the two keeps.
        paper: What the paper has for it, in the same unit.
        corrected: The p that decides, Holm-corrected within the claim.
        answer: To what the claim asks.
        need: Seeds that would answer it, where it is open.
        is_main: Whether it is the one that stands for its model (`main_findings`).
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
    """A statement, how it was tested on one data set, what was found, the verdict.

    Attributes:
        margin: The smallest difference that matters, in the unit of the findings.
        is_bound: Whether it asks that no more than the margin is lost (non-inferiority), and not
            for a gain (superiority).
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
        """Number and title, as headings have them."""
        return f"{self.number}. {self.title}"

    @property
    def scale(self) -> int:
        """What a value is multiplied with to be shown: shares are shown in points."""
        return 100 if self.unit == "pp" else 1

    @property
    def measured(self) -> str:
        """The main finding of each model, with its interval."""
        main = [finding for finding in self.findings if finding.is_main]
        shown = []
        for finding in main:
            found, where = finding.difference, finding.where
            ends = found.point, found.low, found.high
            point, low, high = (f"{self.scale * value:+.1f}" for value in ends)
            # Beside model and epsilon, what tells one from another.
            place = " ".join(
                where[name]
                for name in where
                if name in ("model", "eps") or len({one.where.get(name) for one in main}) > 1
            )
            shown.append(f"{place}: {point} [{low}, {high}] {self.unit}")
        return "; ".join(shown)


def compare(
    first: np.ndarray, second: np.ndarray, paper: float | None, where: dict[str, str]
) -> Finding:
    """Compare twins.

    Args:
        first, second: (seeds, images): bool, whether an image is kept, or dB.
        paper: What the paper has, as the difference of such means.
        where: What tells this finding from the others of its claim.
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
        answer, missing = decide(finding, claim.margin), SEEDS - finding.difference.seeds
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

    Findings without an epsilon are main ones; where nothing is left none is.
    """
    sets: dict[tuple[str, ...], list[int]] = {}
    for at, finding in enumerate(findings):
        if finding.answer not in NOT_ASKED:
            place = tuple(value for name, value in finding.where.items() if name != "eps")
            sets.setdefault(place, []).append(at)
    main = {min(those, key=lambda at: abs(findings[at].standing - 0.5)) for those in sets.values()}
    return [replace(finding, is_main=at in main) for at, finding in enumerate(findings)]


def _deciding_p(finding: Finding, claim: Claim) -> float:
    """The two-sided p of the test that a yes rests on."""
    found = finding.difference
    return min(1.0, 2 * found.p_above(-claim.margin)) if claim.is_bound else found.p


def _is_greater(finding: Finding, margin: float) -> str:
    """Is the second greater? No if it is smaller, or if a gain of the margin is ruled out."""
    found = finding.difference
    if finding.standing < LEAST:
        return EMPTY
    if finding.corrected < SIGNIFICANCE and found.low > 0:
        return YES
    if finding.corrected < SIGNIFICANCE and found.high < 0:
        return NO
    return NO if found.p_below(margin) < SIGNIFICANCE / 2 else UNDECIDED


def _is_not_below(finding: Finding, margin: float) -> str:
    """Is less than the margin lost? No if the loss is shown to be larger."""
    if finding.corrected < SIGNIFICANCE:
        return YES
    return NO if finding.difference.p_below(-margin) < SIGNIFICANCE / 2 else UNDECIDED


def _verdict(findings: list[Finding]) -> tuple[str, str]:
    """What the answers say together, and in how many places."""
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
    """How many seeds, on the same images or on more, would find the effect."""
    seeds, images = finding.difference.seeds, finding.difference.images
    if finding.parts is None:
        return "more seeds"
    effect = abs(finding.paper or claim.margin)
    if claim.is_bound:  # what is to be seen is on which side of it the difference lies
        effect = max(abs(finding.difference.point + claim.margin), claim.margin / 10)
    while (needed := seeds_for(finding.parts, images, WIDTH * effect, SEEDS)) == MOST_SEEDS:
        if half_width(finding.parts, needed, images) <= WIDTH * effect or images > 10**7:
            break
        images *= 2
    found = f"{claim.scale * effect:.1f} {claim.unit}"
    return f"{max(needed, seeds + 1)} seeds x {images:,} images for {found}"
