"""Drawings as SVG that depend on what is drawn alone."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

# Okabe & Ito's palette, readable with any colour vision.
COLOURS = {"learned": "#0072B2", "frozen": "#D55E00", "external": "#000000"}
OTHERS = ("#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#999999")
SIZE = (6.4, 4.0)  # inches


def colours(names: list[str]) -> dict[str, str]:
    """Return a colour for each name: always the same for the twins, the rest in turn."""
    found: dict[str, str] = {}
    others = 0
    for name in names:
        if name not in found:
            found[name] = COLOURS.get(name) or OTHERS[others % len(OTHERS)]
            others += name not in COLOURS
    return found


def render(draw: Callable[[Any], None]) -> str:
    """Return a drawing as SVG; the same drawing gives the same text.

    `draw` draws into an empty figure of matplotlib.
    """
    import warnings

    import matplotlib
    from matplotlib.figure import Figure

    # Names are no formulas, whatever dollars they hold.
    settings: Any = {"svg.hashsalt": "rbmix", "svg.fonttype": "none", "text.parse_math": False}
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        # Text stays text: the reader's fonts count, not those that are here.
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        figure = Figure(figsize=SIZE, layout="constrained")
        draw(figure)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()
