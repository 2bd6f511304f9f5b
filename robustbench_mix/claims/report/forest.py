"""The forest plot of a page: a row per comparison, as wide as the window allows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from robustbench_mix.claims.claim import Claim, Finding
from robustbench_mix.claims.figures import forest_rows, row_labels
from robustbench_mix.claims.report.charts import format_tick, ticks_between
from robustbench_mix.results.intervals import format_signed


@dataclass(frozen=True)
class Row:
    """A difference, with the places of its ends in percent of the width.

    Attributes:
        data, model, attack: Where it was measured; `model` with its training where the model has
            several, `attack` with its epsilon.
        value: The difference in points with its interval, as text.
        tip: All that is known about it.
        low, point, high: Places of the interval's ends and of the difference.
        paper: Place of the paper's difference; None if it has none.
        claim: The claim that it belongs to.
        answer: The answer to the question of the claim.
    """

    data: str
    model: str
    attack: str
    value: str
    tip: str
    low: float
    point: float
    high: float
    paper: float | None
    claim: Claim
    answer: str


@dataclass(frozen=True)
class Forest:
    """The rows, and the places of the round numbers on the axis in percent of the width."""

    rows: list[Row]
    ticks: list[tuple[float, str]]
    zero: float


def forest(claims: list[Claim]) -> Forest | None:
    """Return the forest plot of the main findings; None if no network has two seeds.

    Args:
        claims: All claims, with their verdicts.
    """
    found = forest_rows(claims)
    if not found:
        return None
    ends = [
        100 * end
        for _, finding in found
        for end in (finding.difference.low, finding.difference.high, finding.paper or 0.0)
    ]
    ticks = ticks_between(min([*ends, 0.0]), max([*ends, 0.0]))

    def place(points: float) -> float:
        return round(100 * (points - ticks[0]) / (ticks[-1] - ticks[0]), 2)

    return Forest(
        [
            _row(*row, (network, attack), place)
            for row, (network, attack, _) in zip(found, row_labels(found), strict=True)
        ],
        [(place(tick), format_tick(tick)) for tick in ticks],
        place(0.0),
    )


def _row(
    claim: Claim, finding: Finding, names: tuple[str, str], place: Callable[[float], float]
) -> Row:
    found = finding.difference
    point, low, high = (100 * value for value in (found.point, found.low, found.high))
    value = format_signed(found.point, found.low, found.high)
    shares = f"learned {100 * finding.first:.1f} %, frozen {100 * finding.second:.1f} %"
    size = f"{found.seeds} seeds x {found.images:,} images"
    paper = "" if finding.paper is None else f"; the paper: {100 * finding.paper:+.1f}"
    return Row(
        claim.data, *names, value,
        f"{value} points: {shares}; {size}{paper}",
        place(low), place(point), place(high),
        None if finding.paper is None else place(100 * finding.paper),
        claim, finding.answer,
    )  # fmt: skip
