"""Summarise the answers so far: one sentence for each question, with its numbers and date."""

from __future__ import annotations

from dataclasses import dataclass

from robustbench_mix.claims.claim import FAILS, HOLDS, IN_PART, OPEN, Claim, Finding
from robustbench_mix.results.intervals import format_signed
from robustbench_mix.results.records import Run

SHORT = {HOLDS: "Yes", IN_PART: "In part", FAILS: "No", OPEN: "Not shown so far"}
# Each question, with the claims that answer it; the first one with records on a data set counts.
QUESTIONS = {
    "Are random spatial mixers enough?": ("1",),
    "Are they more robust?": ("3c", "3b", "3a"),
    "Why?": ("6",),
}
WORDS = {
    "1": "a frozen {model} differs from its learned twin by {found} in clean accuracy",
    "3a": "a frozen {model} differs from its learned twin by {found} under FGSM at {eps}",
    "3b": "a frozen {model} differs from its learned twin by {found} under PGD at {eps}",
    "3c": "a frozen {model} differs from its learned twin by {found} under AutoAttack at {eps}",
    "6": "the gap of {model} under {attack} at {eps} changes by {found} with each doubling of the "
    "filters of a channel",
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
        return f"**{self.question}** {self.words}{day}."

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
    for question, numbers in QUESTIONS.items():
        measured = {
            data: one for data in _data(claims) if (one := _measured(claims, data, numbers))
        }
        parts = [f"on {data}, {_words(*one)}: {one[0].verdict}" for data, one in measured.items()]
        words = "; ".join(parts) if parts else "no network has two seeds yet"
        verdicts = {data: claim.verdict for data, (claim, _) in measured.items()}
        found.append(Answer(question, f"{words[0].upper()}{words[1:]}", verdicts, date))
    return found


def _data(claims: list[Claim]) -> list[str]:
    return list(dict.fromkeys(claim.data for claim in claims))


def _measured(
    claims: list[Claim], data: str, numbers: tuple[str, ...]
) -> tuple[Claim, Finding] | None:
    """Return the first of these claims that has a main finding on a data set, with it."""
    for number in numbers:
        for claim in claims:
            main = [finding for finding in claim.findings if finding.is_main]
            if (claim.number, claim.data) == (number, data) and main:
                return claim, main[0]
    return None


def _words(claim: Claim, finding: Finding) -> str:
    difference = finding.difference
    words = format_signed(difference.point, difference.low, difference.high, claim.scale)
    found = f"{words} points on {difference.seeds} seeds"
    return WORDS[claim.number].format(**{"eps": "", "attack": "", **finding.where}, found=found)
