"""Write one HTML file to look at: the answer, differences, curves, images, tables, provenance.

The file loads nothing from a network and is a pure function of the records.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from markupsafe import Markup

from robustbench_mix.claims import figures, page, paper
from robustbench_mix.claims.analysis import analyse
from robustbench_mix.claims.claim import FAILS, HOLDS, IN_PART, OPEN, Claim
from robustbench_mix.claims.report import charts, inline_drawing, pictures, run_images, tables
from robustbench_mix.claims.report.charts import Axes
from robustbench_mix.claims.report.emphasis import emphasise
from robustbench_mix.claims.report.forest import forest
from robustbench_mix.claims.report.tables import Table
from robustbench_mix.results import (
    analysis_plan,
    curves,
    probes,
    records,
    svg,
    unshuffling,
)
from robustbench_mix.results.curves import Curve
from robustbench_mix.results.records import Run
from robustbench_mix.results.svg import Style
from robustbench_mix.storage.files import safe_name, write_if_changed
from robustbench_mix.storage.locks import exclusive_lock

NAME = "report.html"
TEMPLATES = "pages"  # folder of the template, the stylesheet and the script, in this package
# The class of each verdict in the stylesheet.
SHADES = {HOLDS: "holds", IN_PART: "part", FAILS: "fails", OPEN: "open"}
ROBUST = "Are they more robust?"  # the question that the page is about


@dataclass(frozen=True)
class Figure:
    """Charts under one title, with the legend that they share.

    Attributes:
        title: What they show.
        legend: The sample and the name of each series.
        charts: Each chart as SVG, with the words above it.
    """

    title: str
    legend: list[tuple[Markup, str]]
    charts: list[tuple[str, Markup]]


def write(results: Path) -> list[Path]:
    """Regenerate report.html from the records under `results`; empty if nothing changed."""
    path = results / NAME
    with exclusive_lock(path):
        return write_if_changed({path: to_html(results)})


def to_html(results: Path) -> str:
    """Return the whole page; every text from the records is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("robustbench_mix.claims", TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, script = _shipped("report.css"), _shipped("report.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("report.html").render(
        style=Markup(style), script=Markup(script), script_hash=f"sha256-{digest}",
        shade=SHADES, emphasise=emphasise, anchor=tables.claim_anchor, source=paper.source(),
        method=emphasise(page.METHOD), **_content(results),
    )  # fmt: skip


def _shipped(name: str) -> str:
    """Return the text of a file beside the template."""
    return (resources.files("robustbench_mix.claims") / TEMPLATES / name).read_text("utf-8")


def _content(results: Path) -> dict[str, Any]:
    """Return all that depends on the records."""
    runs, transfers = records.read_all(results), probes.read_transfers(results)
    analysis = analyse(results, runs, analysis_plan.read_all(results))
    of_runs = tables.runs_tables(runs, transfers)
    answers = {one.question: one for one in analysis.answers}
    examples = pictures.groups(transfers)
    return {
        "answer": answers.pop(ROBUST),
        "other_answers": list(answers.values()),
        "forest": forest(analysis.claims),
        "verdicts": [_verdict(claim, of_runs) for claim in analysis.claims],
        "dose": _dose(runs),
        "networks": _figures(runs),
        "is_main": {
            (claim.data, finding.where["model"])
            for claim in analysis.claims
            for finding in claim.findings
            if finding.is_main
        },
        "explanations": [
            {
                "one": one,
                "table": Table(f"t-why-{one.name}", one.title, one.columns, one.rows),
                "drawings": [
                    inline_drawing.inline(each.draw, safe_name(Path(each.file).stem), each.alt)
                    for each in one.drawings
                ],
            }
            for one in analysis.explanations
        ],
        "examples": examples,
        "sheets": pictures.sheets(unshuffling.read_all(results)),
        "plans": analysis.plans,
        "run_tables": of_runs,
        "count": {"runs": len(runs), "images": sum(run.header.n for run in runs)},
        "example_data": run_images.script_json(
            [
                {
                    "anchor": group.anchor,
                    "data": group.transfer.header.dataset,
                    "model": group.transfer.header.model,
                    "images": [one.image for one in (*group.first, *group.more)],
                }
                for group in examples
            ]
        ),
        "run_data": run_images.as_json(runs, transfers),
    }


def _verdict(claim: Claim, of_runs: list[Table]) -> dict[str, Any]:
    """Return a claim with its place on the page, its findings and the link to its runs."""
    return {
        "claim": claim,
        "anchor": tables.claim_anchor(claim),
        "table": tables.findings(claim, of_runs),
        "runs": tables.runs_link(claim, claim.findings, of_runs),
    }


def _figures(runs: list[Run]) -> dict[tuple[str, str], list[Figure]]:
    """Return the curves of each network on each data set, one figure for each attack."""
    found: dict[tuple[str, str], list[Figure]] = {}
    for group in curves.groups(runs).values():
        h = group[0].header
        found.setdefault((h.dataset, h.model), []).append(_figure(group))
    return found


def _figure(group: list[Run]) -> Figure:
    shown, apart = curves.curves(group), curves.differences(group)
    grid = curves.informative(shown)
    labels, unit = curves.ticks(grid)
    title = f"{group[0].header.norm} epsilon" + (f", {unit}" if unit else "")
    style = svg.styles([curve.name for curve in shown])
    accuracies = charts.chart(shown, style, Axes(grid, labels, title, "%", (0, 100)))
    drawn = [("accuracy, %", accuracies)]
    if apart:
        difference = charts.chart(apart, style, Axes(grid, labels, title, "points"))
        drawn.append(("minus the learned twin, points", difference))
    return Figure(curves.title(group), _legend(shown, style), drawn)


def _dose(runs: list[Run]) -> Figure | None:
    """Return the gap against the number of random filters; None without such records."""
    shown = figures.dose_curves(runs)
    if not shown:
        return None
    style = svg.styles([curve.name for curve in shown])
    places = sorted({dose for curve in shown for dose in curve.shares}, key=int)
    axes = Axes(places, places, "depth multiplier: random filters of each channel", "points")
    drawn = charts.chart(shown, style, axes)
    return Figure(
        "More random filters", _legend(shown, style), [("frozen minus learned, points", drawn)]
    )


def _legend(shown: list[Curve], style: dict[str, Style]) -> list[tuple[Markup, str]]:
    return [(charts.sample(style[curve.name]), curve.label) for curve in shown]
