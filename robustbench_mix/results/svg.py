"""Draw SVG whose bytes depend only on the drawing."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

# Okabe & Ito's palette, readable with any colour vision.
COLOURS = {"learned": "#0072B2", "frozen": "#D55E00", "external": "#000000"}
OTHERS = ("#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#999999")
SIZE = (6.4, 4.0)  # inches


def colours(names: list[str]) -> dict[str, str]:
    """Return a colour for each name: fixed ones for the twins, the others in turn."""
    found: dict[str, str] = {}
    others = 0
    for name in names:
        if name not in found:
            found[name] = COLOURS.get(name) or OTHERS[others % len(OTHERS)]
            others += name not in COLOURS
    return found


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
