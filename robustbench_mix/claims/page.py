"""Write the claims as Markdown: a page of verdicts, and a file of findings for each claim."""

from __future__ import annotations

from pathlib import Path

from robustbench_mix.claims import paper
from robustbench_mix.claims.analysis import Analysis
from robustbench_mix.claims.claim import Claim, Finding
from robustbench_mix.claims.explanations.overview import Explanation
from robustbench_mix.claims.explanations.table import DRAWINGS, draw, section_lines
from robustbench_mix.claims.figures import DOSE, FOREST, has_forest
from robustbench_mix.results.design import LEAST_SEEDS
from robustbench_mix.results.intervals import format_signed
from robustbench_mix.results.markdown import head, line, plain
from robustbench_mix.results.statistics import format_p
from robustbench_mix.storage.files import files_that_differ, safe_name, write_if_changed
from robustbench_mix.storage.locks import exclusive_lock

NAME = "claims.md"
FOLDER = "claims"  # folder of the findings, in a results folder

METHOD = f"""\
A *difference* is the second network minus the first, as the columns name them: a mean over seeds
and images, with a 95 % interval in which both vary (two-way random effects, Satterthwaite's degrees
of freedom). *p, t* is that of Student's t over seeds, Holm-corrected within the claim; *p, flips*
that of the exact sign-flip permutation over seeds; *p, seeds alike* that of the F test that seeds
do not differ. The two one-sided p (TOST) are against a loss, and against a gain, of the margin.
An answer needs {LEAST_SEEDS} seeds. *Needed* says how many would find the paper's effect, or the
margin where the paper has none, with a power of 0.8. *Nothing left*: both networks are below 1 %.
*One seed*: a verdict leaves it out."""


def write(results: Path, analysis: Analysis) -> list[Path]:
    """Write claims.md under `results`, its appendices and drawings; return what changed."""
    with exclusive_lock(results / NAME):
        drawn = draw(results, analysis.explanations)
        return [*write_if_changed(content(results, analysis)), *drawn]


def write_figures(results: Path, figures: dict[str, str]) -> list[Path]:
    """Write the figures of the verdicts under `results`; return the files that changed.

    Args:
        results: The results folder.
        figures: The SVG of each figure by its file name.
    """
    with exclusive_lock(results / NAME):
        return write_if_changed({results / FOLDER / name: text for name, text in figures.items()})


def stale(results: Path, analysis: Analysis) -> list[Path]:
    """Return the files that differ from what `write` would write."""
    return files_that_differ(content(results, analysis))


def content(results: Path, analysis: Analysis) -> dict[Path, str]:
    """Return the text of each file by its path."""
    found = analysis.claims
    numbers = dict.fromkeys(claim.number for claim in found)
    pages = {
        results / FOLDER / _file(number): _appendix([c for c in found if c.number == number])
        for number in numbers
    }
    pages[results / FOLDER / "why.md"] = _why(analysis.explanations)
    return {results / NAME: _verdicts(analysis), **pages}


def _verdicts(analysis: Analysis) -> str:
    found = analysis.claims
    lines = [
        "# The claims, tested",
        "",
        *(f"- {answer.sentence}" for answer in analysis.answers),
        "",
        *_figure(found),
        *head(["claim", "data", "verdict", "where", "measured"]),
        *(
            f"| {_link(one)} {line([one.data, f'**{one.verdict}**', one.reason, one.measured])}"
            for one in found
        ),
        "",
        "*Measured* is the difference at the epsilon where about half of the images stand.",
        "",
        *METHOD.splitlines(),
        "",
        f"The paper's figures: {paper.source()}.",
        "",
        "## Plans",
        "",
        *(f"- {plain(one)}" for one in analysis.plans or ["No analysis plan was written."]),
        "",
        "## Why",
        "",
        *(
            f"- [{one.title}]({FOLDER}/why.md#{_anchor(one.title)})"
            for one in analysis.explanations
        ),
    ]
    return "\n".join(lines) + "\n"


def _figure(found: list[Claim]) -> list[str]:
    """Return the lines of the forest plot, if there is anything to draw."""
    alt = "Frozen minus learned with 95 % intervals, by model and attack; hollow: the paper"
    return [f"![{alt}]({FOLDER}/{FOREST})", ""] if has_forest(found) else []


def _appendix(versions: list[Claim]) -> str:
    """Return the appendix of a claim, on every data set."""
    first = versions[0]
    lines = [f"# {first.name}", "", first.statement, "", f"*Test.* {first.test}"]
    for claim in versions:
        on = f" on {plain(claim.data)}" if claim.data else ""
        lines += ["", f"**{claim.verdict}**{on}: {claim.reason}."]
        if claim.findings:
            titles, rows = table(claim)
            lines += ["", *head(titles), *map(line, rows)]
    if first.number == "6" and any(claim.findings for claim in versions):
        lines += ["", f"![The gap between twins against the depth multiplier]({DOSE})"]
    return "\n".join([*lines, "", *METHOD.splitlines()]) + "\n"


def _why(why: list[Explanation]) -> str:
    lines = ["# Why there is a gap, or none"]
    for one in why:
        lines += ["", *section_lines(one, f"../{DRAWINGS}")]
    return "\n".join(lines) + "\n"


def _file(number: str) -> str:
    return f"{safe_name(number.replace(', ', '-'))}.md"


def _link(claim: Claim) -> str:
    return f"[{claim.name}]({FOLDER}/{_file(claim.number)})"


def _anchor(title: str) -> str:
    """Return the anchor that Markdown gives a heading."""
    kept = "".join(c for c in title.lower() if c.isalnum() or c in " -")
    return kept.replace(" ", "-")


def table(claim: Claim) -> tuple[list[str], list[list[str]]]:
    """Return the titles and rows of a claim's findings."""
    places = list(dict.fromkeys(key for finding in claim.findings for key in finding.where))
    margin = f"{claim.scale * claim.margin:g} {claim.unit}"
    titles = [
        *places, "seeds x images", *claim.sides, f"difference, {claim.unit}", "paper", "p, t",
        "p, flips", "p, seeds alike", f"p, loss of {margin}", f"p, gain of {margin}", "answer",
        "needed",
    ]  # fmt: skip
    return titles, [_cells(claim, finding, places) for finding in claim.findings]


def _cells(claim: Claim, finding: Finding, places: list[str]) -> list[str]:
    found, scale = finding.difference, claim.scale
    sides = [f"{scale * side:.1f}" for side in (finding.first, finding.second)]
    tests = [
        found.p if claim.is_bound else finding.corrected,
        found.flips,
        found.unlike,
        found.p_above(-claim.margin),
        found.p_below(claim.margin),
    ]
    return [
        *(finding.where.get(place, "") for place in places),
        f"{found.seeds} x {found.images:,}",
        *sides,
        format_signed(found.point, found.low, found.high, scale),
        "" if finding.paper is None else f"{scale * finding.paper:+.1f}",
        *("" if p is None else format_p(p) for p in tests),
        finding.answer,
        finding.need,
    ]
