"""Draw SVG whose bytes depend only on the drawing, with a style of its own for each series."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# Okabe & Ito's palette, readable with any colour vision. The twins and models of others have the
# first places, further kinds take the rest in turn.
FIXED = ("learned", "frozen", "external")
COLOURS = (
    "#0072B2", "#D55E00", "#000000", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8A7F00",
    "#777777",
)  # fmt: skip
MARKERS = ("o", "s", "x", "^", "D", "v", "P", "<", ">")
# The lengths of dashes and gaps in points; of another number than the colours, so that a series
# whose colour comes again has other dashes.
DASHES: tuple[tuple[float, ...], ...] = (
    (), (6, 2), (2, 2), (6, 2, 1.5, 2), (1, 2), (9, 2, 2, 2), (4, 1),
)  # fmt: skip
SIZE = (6.4, 4.0)  # inches
# Of a legend in small letters: widths of a letter and of a line with its gaps, in points.
LETTER, HANDLE = 4.6, 45
MOST_COLUMNS, USUAL_ROWS = 4, 3
ROW = 0.18  # height of a row in inches


@dataclass(frozen=True)
class Style:
    """How a series is drawn: its place among all styles, a colour, a marker and dashes.

    Attributes:
        place: The number of the series, from 0.
        dashes: Lengths of dashes and gaps in points; empty for a solid line.
    """

    place: int

    @property
    def colour(self) -> str:
        """Its colour on white."""
        return COLOURS[self.place % len(COLOURS)]

    @property
    def marker(self) -> str:
        """Its marker, in the words of matplotlib."""
        return MARKERS[self.place % len(MARKERS)]

    @property
    def dashes(self) -> tuple[float, ...]:
        """Its dashes."""
        return DASHES[self.place % len(DASHES)]

    def line(self) -> dict[str, Any]:
        """Return the arguments of matplotlib for a line of this style without markers."""
        return {"color": self.colour, "linestyle": (0, self.dashes) if self.dashes else "-"}

    def marked_line(self) -> dict[str, Any]:
        """Return the arguments of matplotlib for a line of this style with markers."""
        return {**self.line(), "marker": self.marker, "markersize": 4.5, "linewidth": 1.2}


def styles(names: list[str]) -> dict[str, Style]:
    """Return a style for each name: fixed ones for the twins, the others in turn."""
    found: dict[str, Style] = {}
    others = len(FIXED)
    for name in names:
        if name not in found:
            found[name] = Style(FIXED.index(name) if name in FIXED else others)
            others += name not in FIXED
    return found


def legend_below(figure: Any, panel: Any, **words: Any) -> None:
    """Put the legend of a panel below all panels, in as many columns as the width has room for.

    The figure grows by the rows that are more than usual.

    Args:
        figure: A figure of matplotlib, of its final width.
        panel: The panel whose series it names.
        words: Further arguments of `Figure.legend`.
    """
    lines, labels = panel.get_legend_handles_labels()
    width, height = figure.get_size_inches()
    longest = max(map(len, labels), default=0)
    room = int(72 * width / (LETTER * longest + HANDLE))
    columns = max(1, min(MOST_COLUMNS, room))
    more = max(0, math.ceil(len(labels) / columns) - USUAL_ROWS)
    figure.set_size_inches(width, height + more * ROW)
    figure.legend(
        lines, labels, ncols=columns, fontsize="small", loc="outside lower center", **words
    )


def beside(count: int, room: float = 0.75) -> list[float]:
    """Return offsets that put `count` series beside each other at a place of a categorical axis.

    Args:
        count: Number of series.
        room: Share of the distance between two places that they may take.
    """
    step = min(0.16, room / max(count, 1))
    return [step * (at - (count - 1) / 2) for at in range(count)]


def render(draw: Callable[[Any], None]) -> str:
    """Return a drawing as SVG; the same drawing gives the same text.

    Args:
        draw: A function that draws into an empty figure of matplotlib.
    """
    import warnings

    import matplotlib
    from matplotlib.figure import Figure

    # Names are never formulas, even if they contain dollar signs.
    settings: Any = {"svg.hashsalt": "rbmix", "svg.fonttype": "none", "text.parse_math": False}
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        # Text stays text, drawn with the reader's fonts and not with those of this machine.
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        figure = Figure(figsize=SIZE, layout="constrained")
        draw(figure)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()
