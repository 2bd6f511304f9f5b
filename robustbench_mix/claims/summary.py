"""Summarise the answers so far: one sentence for each question, with its numbers and date."""

from __future__ import annotations

from robustbench_mix.claims.claim import Claim, Finding
from robustbench_mix.results.records import Run

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


def sentences(claims: list[Claim], runs: list[Run]) -> list[str]:
    """Return a sentence for each question, also for one without measurements.

    Args:
        claims: All claims, with their verdicts.
        runs: All runs; the date of the latest one is given.
    """
    date = max((run.date for run in runs), default="")
    answers = []
    for question, numbers in QUESTIONS.items():
        parts = [part for data in _data(claims) for part in _answers(claims, data, numbers)]
        words = "; ".join(parts) if parts else "no network has two seeds yet"
        day = f" ({date})" if date else ""
        answers.append(f"**{question}** {words[0].upper()}{words[1:]}{day}.")
    return answers


def _data(claims: list[Claim]) -> list[str]:
    return list(dict.fromkeys(claim.data for claim in claims))


def _answers(claims: list[Claim], data: str, numbers: tuple[str, ...]) -> list[str]:
    """Return the answer on a data set by the first of these claims that has a finding."""
    for number in numbers:
        for claim in claims:
            main = [finding for finding in claim.findings if finding.is_main]
            if (claim.number, claim.data) == (number, data) and main:
                return [f"on {data}, {_words(claim, main[0])}: {claim.verdict}"]
    return []


def _words(claim: Claim, finding: Finding) -> str:
    difference = finding.difference
    ends = difference.point, difference.low, difference.high
    point, low, high = (f"{claim.scale * value:+.1f}" for value in ends)
    found = f"{point} [{low}, {high}] points on {difference.seeds} seeds"
    return WORDS[claim.number].format(**{"eps": "", "attack": "", **finding.where}, found=found)
