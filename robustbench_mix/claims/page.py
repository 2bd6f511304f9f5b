"""The claims as Markdown: the verdicts first, then what each rests on."""

from __future__ import annotations

from pathlib import Path

from robustbench_mix.claims import paper
from robustbench_mix.claims.claim import Claim, Finding
from robustbench_mix.claims.explanations.overview import Explanation
from robustbench_mix.claims.explanations.table import draw, section_lines
from robustbench_mix.results.markdown import head, line, plain
from robustbench_mix.storage.files import write_if_changed
from robustbench_mix.storage.locks import exclusive_lock

NAME = "claims.md"


def write(results: Path, found: list[Claim], why: list[Explanation]) -> list[Path]:
    """Write claims.md and the drawings that it shows.

    Args:
        results: The results folder.
        found: The claims with their verdicts.
        why: The explanations.

    Returns:
        The files that changed.
    """
    path = results / NAME
    with exclusive_lock(path):
        drawn = draw(results, why)
        return [*write_if_changed({path: to_markdown(found, why)}), *drawn]


def stale(results: Path, found: list[Claim], why: list[Explanation]) -> bool:
    """Return whether claims.md differs from what these claims and explanations give."""
    path = results / NAME
    return not path.is_file() or path.read_bytes() != to_markdown(found, why).encode()


def to_markdown(found: list[Claim], why: list[Explanation]) -> str:
    """Return the page: a table of verdicts, a section for each claim, and the explanations.

    Args:
        found: The claims with their verdicts.
        why: The explanations.
    """
    lines = [
        "# The claims, tested",
        "",
        *head(["claim", "data", "verdict", "where", "measured"]),
        *(
            line([one.name, one.data, f"**{one.verdict}**", one.reason, one.measured])
            for one in found
        ),
    ]
    lines += [
        "",
        "A *difference* is the mean over seeds and images of the paired difference, with a 95 %",
        "interval that resamples both (crossed bootstrap). *p* is Holm-corrected within the claim.",
        "A verdict needs three seeds; with fewer, or where the interval leaves the question open,",
        "*needed* says how many would find the paper's effect, or one of 1 point where the paper",
        "has none, with a power of 0.8. *Nothing left*: both twins are below 1 %.",
        "",
        f"The paper's figures: {paper.source()}.",
    ]
    numbers = [claim.number for claim in found]
    for position, claim in enumerate(found):
        if numbers.index(claim.number) == position:
            lines += ["", f"## {claim.name}", "", claim.statement, ""]
            lines += [f"*Test.* {claim.test}"]
        on = f" on {plain(claim.data)}" if claim.data else ""
        lines += ["", f"**{claim.verdict}**{on}: {claim.reason}."]
        if claim.findings:
            lines += ["", *_table(claim)]
    lines += ["", "## Why"]
    for one in why:
        lines += ["", *section_lines(one)]
    return "\n".join(lines) + "\n"


def table(claim: Claim) -> tuple[list[str], list[list[str]]]:
    """Return titles and rows of the table of findings that a claim rests on."""
    places = list(dict.fromkeys(key for finding in claim.findings for key in finding.where))
    titles = [
        *places, "seeds x images", *claim.sides, f"difference, {claim.unit}", "paper", "p",
        "answer", "needed",
    ]  # fmt: skip
    return titles, [_cells(claim, finding, places) for finding in claim.findings]


def _table(claim: Claim) -> list[str]:
    titles, rows = table(claim)
    return [*head(titles), *map(line, rows)]


def _cells(claim: Claim, finding: Finding, places: list[str]) -> list[str]:
    found = finding.difference
    scale = 100 if claim.unit == "pp" else 1
    sides = [f"{scale * side:.1f}" for side in (finding.first, finding.second)]
    point, low, high = (f"{scale * value:+.1f}" for value in (found.point, found.low, found.high))
    return [
        *(finding.where.get(place, "") for place in places),
        f"{found.seeds} x {found.images:,}",
        *sides,
        f"{point} [{low}, {high}]",
        "" if finding.paper is None else f"{scale * finding.paper:+.1f}",
        f"{finding.corrected:.2g}" if claim.signed else "",
        finding.answer,
        finding.need,
    ]
