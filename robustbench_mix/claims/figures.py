"""Figures of the verdicts: a forest plot of the twins, and the gap against the dose."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from robustbench_mix.claims.claim import Claim, Finding
from robustbench_mix.claims.dose import Doses, dose_sets, gaps
from robustbench_mix.claims.pairs import Pair, training_words
from robustbench_mix.results import svg
from robustbench_mix.results.random_effects import estimate
from robustbench_mix.results.records import Run

FOREST, DOSE = "forest.svg", "dose.svg"
SIZE = (6.4, 4.0)  # inches
BORDER, ROW = 1.2, 0.28  # inches of a forest plot around its rows, and of each row
LEGEND_COLUMNS = 4
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
    figure.set_size_inches(SIZE[0], BORDER + ROW * len(rows))
    style = svg.styles([claim.data for claim, _ in rows])
    labelled: set[str] = set()
    for place, (claim, finding) in enumerate(reversed(rows)):
        found, look = finding.difference, style[claim.data]
        point, low, high = (100 * value for value in (found.point, found.low, found.high))
        label = None if claim.data in labelled else claim.data
        labelled.add(claim.data)
        axes.plot([low, high], [place, place], color=look.colour, linewidth=1.5)
        axes.plot(point, place, look.marker, color=look.colour, label=label)
        if finding.paper is not None:
            hollow = {"fillstyle": "none", "markersize": 8, "color": look.colour}
            axes.plot(100 * finding.paper, place, look.marker, **hollow)
        words = f"{point:+.1f} [{low:+.1f}, {high:+.1f}]"
        axes.annotate(words, (1.02, place), xycoords=axes.get_yaxis_transform(), va="center",
                      fontsize="small", annotation_clip=False)  # fmt: skip
    axes.axvline(0, color="#666666", linewidth=0.8)
    axes.set_yticks(range(len(rows)), [_label(*row) for row in reversed(rows)])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlabel("frozen minus learned, points (hollow: the paper)")
    axes.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside lower center", ncols=LEGEND_COLUMNS, fontsize="small")


def draw_dose(runs: list[Run], figure: Any) -> None:
    """Draw the gap against the depth multiplier, at the epsilon where half of the images stand.

    Args:
        runs: All runs.
        figure: An empty figure of matplotlib.
    """
    axes = figure.add_subplot()
    sets = dose_sets(runs)
    figure.set_size_inches(SIZE)
    names = [_dose_label(doses) for doses in sets]
    # The places of all series are beside each other, also on a logarithmic axis.
    offsets = svg.beside(len(names))
    for name, offset, doses in zip(names, offsets, sets, strict=True):
        eps = _half_standing(next(iter(doses.values())))
        values = [estimate(gaps(pair, eps)) for pair in doses.values()]
        mean = np.array([100 * one.mean for one in values])
        ends = np.array([[100 * end for end in one.interval()] for one in values])
        axes.errorbar(
            [dose * 2**offset for dose in doses], mean, np.abs(ends - mean[:, None]).T,
            elinewidth=0.9, label=name, **svg.styles(names)[name].marked_line(),
        )  # fmt: skip
    every = sorted({dose for doses in sets for dose in doses})
    axes.set_xscale("log", base=2)
    axes.set_xticks(every, list(map(str, every)), minor=False)
    axes.axhline(0, color="#666666", linewidth=0.8)
    axes.set_xlabel("depth multiplier d: random filters of each channel")
    axes.set_ylabel("frozen minus learned, points")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", fontsize="small")


def _dose_label(doses: Doses) -> str:
    """Return the words of the legend for the pairs of a family under one attack."""
    one = next(iter(doses.values()))
    seeds = f"{len(one.seeds)} seed" + ("" if len(one.seeds) == 1 else "s")
    words = f"{one.header.protocol} {_half_standing(one)}, {one.header.dataset}"
    return f"{words}, {training_words(one.header)}, {seeds}"


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


def _half_standing(pair: Pair) -> str:
    """Return the epsilon at which about half of the images stand for the learned network."""
    grid = [eps for eps in pair.first if eps != "0"]
    return min(grid, key=lambda eps: abs(float(pair.first[eps].mean()) - 0.5))
