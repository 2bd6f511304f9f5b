"""One comparison behind a claim, and what a set of them says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from robustbench_mix.results.statistics import LEVEL, Difference, holm, images_needed, seeds_needed

HOLDS, IN_PART, FAILS, OPEN = (
    "holds", "holds in part", "does not hold", "not enough evidence",
)  # fmt: skip
YES, NO, UNDECIDED, NOTHING_LEFT = "yes", "no", "open", "nothing left"
MIN_SEEDS = 3  # fewer say nothing about training
SMALLEST_GAP = 0.01  # the smallest gap of accuracies that would matter, as a share


@dataclass(frozen=True)
class Finding:
    """A difference, second minus first, where it was measured, and what the paper has there.

    `first`, `second` are means over seeds and images, in the unit of the claim (shares or
    dB); `discordant` the share of images on which twins differ and `spread` the standard
    deviation of the difference from seed to seed, for the power calculation.
    """

    where: dict[str, str]
    first: float
    second: float
    difference: Difference
    discordant: float
    spread: float
    paper: float | None = None
    corrected: float = 1.0
    answer: str = UNDECIDED
    need: str = ""


@dataclass(frozen=True)
class Claim:
    """A statement of the paper, how it was tested on one data set, what was found, the verdict."""

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
    margin: float = 0.0  # what may be lost, as a share; then the interval alone decides

    @property
    def signed(self) -> bool:
        """Whether the sign test has a say."""
        return not self.margin

    @property
    def name(self) -> str:
        """Number and title, as headings have them."""
        return f"{self.number}. {self.title}"

    @property
    def measured(self) -> str:
        """The range of the differences, but for those where nothing is left."""
        scale = 100 if self.unit == "pp" else 1
        points = [scale * f.difference.point for f in self.findings if f.answer != NOTHING_LEFT]
        if not points:
            return ""
        ends = dict.fromkeys(f"{value:+.1f}" for value in (min(points), max(points)))
        return f"{' to '.join(ends)} {self.unit}"


def with_verdict(claim: Claim, decide: Callable[[Finding], str]) -> Claim:
    """Return the claim with p-values corrected for their number, answers, needs and a verdict.

    Args:
        claim: The claim with its findings.
        decide: Answers one finding, as `is_greater` does.
    """
    corrected = holm([finding.difference.p for finding in claim.findings])
    findings = []
    for finding, p in zip(claim.findings, corrected, strict=True):
        finding = replace(finding, corrected=p)
        answer = decide(finding)
        if finding.difference.seeds < MIN_SEEDS and answer != NOTHING_LEFT:
            answer = UNDECIDED
        need = _what_is_needed(finding, claim, len(claim.findings)) if answer == UNDECIDED else ""
        findings.append(replace(finding, answer=answer, need=need))
    verdict, reason = _verdict(findings)
    return replace(claim, findings=findings, verdict=verdict, reason=reason)


def is_greater(finding: Finding) -> str:
    """Is the second is_greater? No if it is smaller, or if a gap of `SMALLEST_GAP` is ruled out."""
    difference = finding.difference
    if max(finding.first, finding.second) < SMALLEST_GAP:
        return NOTHING_LEFT
    if finding.corrected < LEVEL and difference.low > 0:
        return YES
    if finding.corrected < LEVEL and difference.high < 0:
        return NO
    return NO if difference.high < SMALLEST_GAP else UNDECIDED


def is_not_below(margin: float) -> Callable[[Finding], str]:
    """Is the second less than `margin` below the first? By its 95 % interval."""

    def decide(finding: Finding) -> str:
        if finding.difference.low > -margin:
            return YES
        return NO if finding.difference.high < -margin else UNDECIDED

    return decide


def _verdict(findings: list[Finding]) -> tuple[str, str]:
    """What the answers say together, and in how many places."""
    asked = [finding for finding in findings if finding.answer != NOTHING_LEFT]
    if not asked:
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


def _what_is_needed(finding: Finding, claim: Claim, tests: int) -> str:
    """What would decide it: more seeds first, then more images, for the effect to be found."""
    seeds = finding.difference.seeds
    effect = finding.paper or SMALLEST_GAP
    if claim.margin:  # what is to be seen is on which side of it the difference lies
        effect = max(abs(finding.difference.point + claim.margin), SMALLEST_GAP / 10)
    if seeds < MIN_SEEDS:
        return f"{MIN_SEEDS - seeds} more seed" + ("s" if MIN_SEEDS - seeds > 1 else "")
    if claim.unit != "pp":
        return "more seeds"
    images = images_needed(finding.discordant, effect, tests)
    more_seeds = seeds_needed(finding.spread, effect)
    parts = []
    if images > finding.difference.images:
        parts.append(f"{images:,} images")
    if more_seeds > seeds:
        parts.append(f"{more_seeds} seeds")
    size = f"for {100 * abs(effect):.1f} pp"
    return f"{' and '.join(parts) or 'a little more'} {size}"
