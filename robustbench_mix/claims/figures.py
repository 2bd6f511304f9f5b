"""Figures of the verdicts: a forest plot of the twins, and the gap against the dose."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from robustbench_mix.claims.claim import Claim, Finding
from robustbench_mix.claims.dose import dose_sets
from robustbench_mix.claims.pairs import training_words
from robustbench_mix.results import svg
from robustbench_mix.results.random_effects import estimate
from robustbench_mix.results.records import Run

FOREST, DOSE = "forest.svg", "dose.svg"
# The claims in the forest plot, and their names there.
SHOWN = {"1": "clean", "3a": "FGSM", "3b": "PGD", "3c": "AutoAttack"}


def figures(claims: list[Claim], runs: list[Run]) -> dict[str, str]:
    """Return the SVG of each figure by its file name; figures without data are left out.

    Args:
        claims: All claims, with their verdicts.
        runs: All runs.
    """
    drawn: dict[str, Callable[[Any], None]] = {}
    if has_forest(claims):
        drawn[FOREST] = partial(draw_forest, claims)
    if dose_sets(runs):
        drawn[DOSE] = partial(draw_dose, runs)
    return {name: svg.render(draw) for name, draw in drawn.items()}


def has_forest(claims: list[Claim]) -> bool:
    """Return whether any network has more than one seed."""
    return bool(_rows(claims))


def draw_forest(claims: list[Claim], figure: Any) -> None:
    """Draw frozen minus learned with intervals, by model and attack, and the paper's value hollow.

    Args:
        claims: All claims; their main findings are shown.
        figure: An empty figure of matplotlib.
    """
    axes = figure.add_subplot()
    rows = _rows(claims)
    colour = svg.colours([claim.data for claim, _ in rows])
    labelled: set[str] = set()
    for place, (claim, finding) in enumerate(reversed(rows)):
        found, shade = finding.difference, colour[claim.data]
        point, low, high = (100 * value for value in (found.point, found.low, found.high))
        label = None if claim.data in labelled else claim.data
        labelled.add(claim.data)
        axes.plot([low, high], [place, place], color=shade, linewidth=2)
        axes.plot(point, place, "o", color=shade, label=label)
        if finding.paper is not None:
            axes.plot(100 * finding.paper, place, "o", color=shade, fillstyle="none")
    axes.axvline(0, color="#666666", linewidth=0.8)
    axes.set_yticks(range(len(rows)), [_label(*row) for row in reversed(rows)])
    axes.set_xlabel("frozen minus learned, points (hollow: the paper)")
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="best")


def draw_dose(runs: list[Run], figure: Any) -> None:
    """Draw the gap against the depth multiplier, at the epsilon where half of the images stand.

    Args:
        runs: All runs.
        figure: An empty figure of matplotlib.
    """
    axes = figure.add_subplot()
    sets = dose_sets(runs)
    names = [next(iter(doses.values())).header.protocol for doses in sets]
    colour = svg.colours(names)
    for name, doses in zip(names, sets, strict=True):
        one = next(iter(doses.values()))
        eps = one.half_standing
        gaps = [estimate(pair.gain(eps)) for pair in doses.values()]
        ends = np.array([[100 * end for end in gap.interval()] for gap in gaps])
        seeds = f"{len(one.seeds)} seed" + ("" if len(one.seeds) == 1 else "s")
        label = f"{name} {eps}, {one.header.dataset}, {training_words(one.header)}, {seeds}"
        places = list(doses)
        axes.fill_between(
            places, ends[:, 0], ends[:, 1], color=colour[name], alpha=0.15, linewidth=0
        )
        axes.plot(
            places,
            [100 * gap.mean for gap in gaps],
            marker="o",
            color=colour[name],
            label=label,
        )
    every = sorted({dose for doses in sets for dose in doses})
    axes.set_xscale("log", base=2)
    axes.set_xticks(every, list(map(str, every)), minor=False)
    axes.axhline(0, color="#666666", linewidth=0.8)
    axes.set_xlabel("depth multiplier d: random filters of each channel")
    axes.set_ylabel("frozen minus learned, points")
    axes.grid(alpha=0.3)
    axes.legend(loc="best")


def _rows(claims: list[Claim]) -> list[tuple[Claim, Finding]]:
    """Return the main findings by model, clean accuracy first."""
    found = [
        (claim, finding)
        for claim in claims
        if claim.number in SHOWN
        for finding in claim.findings
        if finding.is_main
    ]
    order = list(SHOWN)
    return sorted(
        found, key=lambda row: (row[0].data, row[1].where["model"], order.index(row[0].number))
    )


def _label(claim: Claim, finding: Finding) -> str:
    parts = finding.where["model"], SHOWN[claim.number], finding.where.get("eps", "")
    seeds = finding.difference.seeds
    return f"{' '.join(part for part in parts if part)} ({seeds} seeds)"
