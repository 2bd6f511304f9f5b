"""Summarise the answers so far: one sentence for each question, with its numbers and date."""

from __future__ import annotations

from dataclasses import dataclass

from robustbench_mix.claims.attacks import NAMES, NUMBERS
from robustbench_mix.claims.claim import FAILS, HOLDS, IN_PART, OPEN, Claim, Finding
from robustbench_mix.results.design import LEAST_SEEDS
from robustbench_mix.results.intervals import format_signed
from robustbench_mix.results.records import Run

SHORT = {HOLDS: "Yes", IN_PART: "In part", FAILS: "No", OPEN: "Not shown so far"}
# Each question, with the words before its numbers, and the claims that answer it. On each data set
# the first one with enough seeds counts, or else the first one with records.
QUESTIONS = {
    "Are random spatial mixers enough?": ("Frozen minus learned:", ("1",)),
    "Are they more robust?": ("Frozen minus learned:", ("3c", "3b", "3a")),
    "Why, is it the number of random filters?": (
        "Each doubling of the random filters of a channel moves frozen minus learned by", ("6",)
    ),
}  # fmt: skip
UNMEASURED = "No network has two seeds yet"
WORDS = {
    "1": "{found} points of clean accuracy",
    **{
        number: f"{{found}} points under {NAMES[attack]} at {{eps}}"
        for attack, number in NUMBERS.items()
    },
    "6": "{found} points under {attack} at {eps}",
}


@dataclass(frozen=True)
class Answer:
    """A question, what the records say about it, and the verdict on each data set.

    Attributes:
        question: The question, with its question mark.
        words: The differences that were measured, as one sentence without a full stop.
        verdicts: The verdict by the name of the data set; empty if nothing was measured.
        date: The day of the latest record, '' without records.
    """

    question: str
    words: str
    verdicts: dict[str, str]
    date: str

    @property
    def sentence(self) -> str:
        """The whole answer, as Markdown."""
        day = f" ({self.date})" if self.date else ""
        short = f"{self.short} " if self.verdicts else ""
        return f"**{self.question}** {short}{self.words}{day}."

    @property
    def short(self) -> str:
        """The verdicts in a few words, each data set named if they differ."""
        if not self.verdicts:
            return "Not measured yet."
        shown = {data: SHORT[verdict] for data, verdict in self.verdicts.items()}
        if len(set(shown.values())) == 1:
            return f"{next(iter(shown.values()))}."
        words = [f"{answer[0].lower()}{answer[1:]} on {data}" for data, answer in shown.items()]
        joined = "; ".join(words)
        return f"{joined[0].upper()}{joined[1:]}."


def answers(claims: list[Claim], runs: list[Run]) -> list[Answer]:
    """Return the answer to each question, also to one without measurements.

    Args:
        claims: All claims, with their verdicts.
        runs: All runs; the date of the latest one is given.
    """
    date = max((run.date for run in runs), default="")
    found = []
    for question, (subject, numbers) in QUESTIONS.items():
        measured = {
            data: one for data in _data(claims) if (one := _measured(claims, data, numbers))
        }
        told = [words for data in measured for words in _told(claims, data, numbers)]
        words = f"{subject} {'; '.join(told)}" if told else UNMEASURED
        verdicts = {data: claim.verdict for data, claim in measured.items()}
        found.append(Answer(question, words, verdicts, date))
    return found


def _data(claims: list[Claim]) -> list[str]:
    return list(dict.fromkeys(claim.data for claim in claims))


def _measured(claims: list[Claim], data: str, numbers: tuple[str, ...]) -> Claim | None:
    """Return the claim that answers for a data set."""
    found = [
        claim
        for number in numbers
        for claim in claims
        if (claim.number, claim.data) == (number, data) and _main(claim)
    ]
    # `max` takes the first of those that are alike.
    return max(found, key=lambda claim: any(map(_is_enough, _main(claim))), default=None)


def _told(claims: list[Claim], data: str, numbers: tuple[str, ...]) -> list[str]:
    """Return what was measured on a data set, and beside it the paper's largest figure for it.

    It is a main finding for each network, of those with enough seeds if there are any.
    """
    answering = _measured(claims, data, numbers)
    if answering is None:
        return []
    main = _main(answering)
    told = [(answering, one) for one in [*filter(_is_enough, main)] or main]
    papers = [
        (claim, finding)
        for claim in claims
        for finding in claim.findings
        if (claim.data, claim.number in numbers) == (data, True)
        and finding.paper is not None
        and _is_enough(finding)
    ]
    largest = max(papers, key=lambda one: abs(one[1].paper or 0), default=None)
    if largest is not None and largest not in told:
        told.append(largest)
    return [_words(*one) for one in told]


def _main(claim: Claim) -> list[Finding]:
    return [finding for finding in claim.findings if finding.is_main]


def _is_enough(finding: Finding) -> bool:
    return finding.difference.seeds >= LEAST_SEEDS


def _words(claim: Claim, finding: Finding) -> str:
    difference = finding.difference
    found = format_signed(difference.point, difference.low, difference.high, claim.scale)
    where = {"eps": "", "attack": "", **finding.where}
    where["attack"] = NAMES.get(where["attack"], where["attack"])
    words = WORDS[claim.number].format(**where, found=found)
    paper = "" if finding.paper is None else f"; the paper: {claim.scale * finding.paper:+.1f}"
    return f"{words} ({where['model']} on {claim.data}, {difference.seeds} seeds{paper})"
