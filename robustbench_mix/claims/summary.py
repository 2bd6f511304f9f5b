"""Summarise the answers so far: one sentence for each question, with its numbers and date."""

from __future__ import annotations

from dataclasses import dataclass

from robustbench_mix.claims.claim import FAILS, HOLDS, IN_PART, OPEN, Claim, Finding
from robustbench_mix.results.design import LEAST_SEEDS
from robustbench_mix.results.intervals import format_signed
from robustbench_mix.results.records import Run

SHORT = {HOLDS: "Yes", IN_PART: "In part", FAILS: "No", OPEN: "Not shown so far"}
# Each question, with the claims that answer it. On each data set the first one with enough seeds
# counts, or else the first one with records.
QUESTIONS = {
    "Are random spatial mixers enough?": ("1",),
    "Are they more robust?": ("3c", "3b", "3a"),
    "Why, is it the number of random filters?": ("6",),
}
ATTACKS = {"fgsm": "FGSM", "pgd": "PGD", "autoattack": "AutoAttack"}
# What each claim measures, without the place.
SUBJECT = {
    "1": "frozen minus learned:",
    "3a": "frozen minus learned:",
    "3b": "frozen minus learned:",
    "3c": "frozen minus learned:",
    "6": "each doubling of the random filters of a channel moves frozen minus learned by",
}
WORDS = {
    "1": "{found} points of clean accuracy",
    "3a": "{found} points under FGSM at {eps}",
    "3b": "{found} points under PGD at {eps}",
    "3c": "{found} points under AutoAttack at {eps}",
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
    for question, numbers in QUESTIONS.items():
        measured = {
            data: one for data in _data(claims) if (one := _measured(claims, data, numbers))
        }
        words = _sentence(measured) if measured else "No network has two seeds yet"
        verdicts = {data: claim.verdict for data, (claim, _) in measured.items()}
        found.append(Answer(question, words, verdicts, date))
    return found


def _data(claims: list[Claim]) -> list[str]:
    return list(dict.fromkeys(claim.data for claim in claims))


def _measured(
    claims: list[Claim], data: str, numbers: tuple[str, ...]
) -> tuple[Claim, Finding] | None:
    """Return the claim that answers for a data set, with its main finding."""
    found = [
        (claim, main[0])
        for number in numbers
        for claim in claims
        if (claim.number, claim.data) == (number, data)
        and (main := [finding for finding in claim.findings if finding.is_main])
    ]
    # `max` takes the first of those that are alike.
    return max(found, key=lambda one: one[1].difference.seeds >= LEAST_SEEDS, default=None)


def _sentence(measured: dict[str, tuple[Claim, Finding]]) -> str:
    """Return what was measured on each data set, as one sentence without a full stop."""
    first, _ = next(iter(measured.values()))
    subject = SUBJECT[first.number]
    parts = [_words(*one) for one in measured.values()]
    return f"{subject[0].upper()}{subject[1:]} {'; '.join(parts)}"


def _words(claim: Claim, finding: Finding) -> str:
    difference = finding.difference
    found = format_signed(difference.point, difference.low, difference.high, claim.scale)
    where = {"eps": "", "attack": "", **finding.where}
    where["attack"] = ATTACKS.get(where["attack"], where["attack"])
    words = WORDS[claim.number].format(**where, found=found)
    return f"{words} ({where['model']} on {claim.data}, {difference.seeds} seeds)"
