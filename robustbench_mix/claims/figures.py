"""Figures of the verdicts: a forest plot of the twins, and the gap against the dose."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from robustbench_mix.claims.attacks import NAMES, NUMBERS
from robustbench_mix.claims.claim import Claim, Finding
from robustbench_mix.claims.dose import Doses, dose_sets
from robustbench_mix.results import svg, twins
from robustbench_mix.results.curves import Curve
from robustbench_mix.results.intervals import format_signed
from robustbench_mix.results.random_effects import estimate
from robustbench_mix.results.records import Run

FOREST, DOSE = "forest.svg", "dose.svg"
SIZE = (6.4, 4.0)  # inches
BORDER, ROW = 1.2, 0.28  # inches of a forest plot around its rows, and of each row
# The claims in the forest plot, and their names there.
SHOWN = {"1": "clean", **{NUMBERS[attack]: NAMES[attack] for attack in NAMES}}


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
    return bool(forest_rows(claims))


def draw_forest(claims: list[Claim], figure: Any) -> None:
    """Draw frozen minus learned with intervals, by model and attack, and the paper's value hollow.

    Args:
        claims: All claims; their main findings are shown.
        figure: An empty figure of matplotlib.
    """
    axes = figure.add_subplot()
    rows = forest_rows(claims)
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
        words = format_signed(found.point, found.low, found.high)
        axes.annotate(words, (1.02, place), xycoords=axes.get_yaxis_transform(), va="center",
                      fontsize="small", annotation_clip=False)  # fmt: skip
    axes.axvline(0, color="#666666", linewidth=0.8)
    labels = [f"{attack}, {network}, {n} seeds" for network, attack, n in row_labels(rows)]
    axes.set_yticks(range(len(rows)), labels[::-1])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlabel("frozen minus learned, points (hollow: the paper)")
    axes.grid(axis="x", alpha=0.3)
    svg.legend_below(figure, axes)


def draw_dose(runs: list[Run], figure: Any) -> None:
    """Draw the gap against the depth multiplier, at the epsilon where half of the images stand.

    Args:
        runs: All runs.
        figure: An empty figure of matplotlib.
    """
    axes = figure.add_subplot()
    shown = dose_curves(runs)
    figure.set_size_inches(SIZE)
    style = svg.styles([one.name for one in shown])
    # The places of all series are beside each other, also on a logarithmic axis.
    for one, offset in zip(shown, svg.beside(len(shown)), strict=True):
        mean, *ends = (100 * np.array(side) for side in zip(*one.shares.values(), strict=True))
        axes.errorbar(
            [int(dose) * 2**offset for dose in one.shares],
            mean,
            np.abs(np.array(ends) - mean),
            elinewidth=0.9,
            label=one.label,
            **style[one.name].marked_line(),
        )
    every = sorted({int(dose) for one in shown for dose in one.shares})
    axes.set_xscale("log", base=2)
    axes.set_xticks(every, list(map(str, every)), minor=False)
    axes.axhline(0, color="#666666", linewidth=0.8)
    axes.set_xlabel("depth multiplier d: random filters of each channel")
    axes.set_ylabel("frozen minus learned, points")
    axes.grid(alpha=0.3)
    svg.legend_below(figure, axes)


def dose_curves(runs: list[Run]) -> list[Curve]:
    """Return frozen minus learned by depth multiplier, for each family and attack.

    Each is at the epsilon where half of the images stand.
    """
    return [_dose_curve(doses) for doses in dose_sets(runs)]


def _dose_curve(doses: Doses) -> Curve:
    one = next(iter(doses.values()))
    eps, h = one.half_standing, one.header
    found = {dose: estimate(pair.gain(eps)) for dose, pair in doses.items()}
    name = f"{h.protocol} {eps}, {h.dataset}, {twins.trained_on(h)}"
    name += ", 1 seed" if len(one.seeds) == 1 else ""
    shares = {str(dose): (gap.mean, *gap.interval()) for dose, gap in found.items()}
    return Curve(name, len(one.seeds), h.n, shares)


def forest_rows(claims: list[Claim]) -> list[tuple[Claim, Finding]]:
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


def row_labels(rows: list[tuple[Claim, Finding]]) -> list[tuple[str, str, int]]:
    """Return the network, the attack with its epsilon, and the number of seeds of each row.

    A network is named with its training where the rows of its model have several.
    """
    trainings: dict[tuple[str, str], set[str]] = {}
    for claim, finding in rows:
        place = claim.data, finding.where["model"]
        trainings.setdefault(place, set()).add(finding.where["trained on"])
    found = []
    for claim, finding in rows:
        model, training = finding.where["model"], finding.where["trained on"]
        several = len(trainings[claim.data, model]) > 1
        attack = f"{SHOWN[claim.number]} {finding.where.get('eps', '')}".strip()
        network = f"{model} ({training})" if several else model
        found.append((network, attack, finding.difference.seeds))
    return found
