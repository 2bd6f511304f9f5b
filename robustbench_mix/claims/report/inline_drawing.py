"""Put drawings of matplotlib into a page, in its colours."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from markupsafe import Markup

from robustbench_mix.results import svg

# What matplotlib draws in black on white has the page's own colours.
COLOURS = {"#000000": "currentColor", "#ffffff": "var(--page)", "#cccccc": "var(--line)"}


def inline(draw: Callable[[Any], None], name: str, alt: str) -> Markup:
    """Return a drawing as an SVG element that follows the colours of the page.

    Args:
        draw: A function that draws into an empty figure of matplotlib.
        name: A name that is unique on the page; the names within the drawing begin with it.
        alt: Words for readers who cannot see it.
    """
    text = svg.render(draw)
    text = text[text.index("<svg") :]
    # A style in the drawing would be one of the whole page; its stylesheet has the same.
    text = re.sub(r"<(metadata|style)\b.*?</\1>", "", text, flags=re.DOTALL)
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", text)
    # A tenth of a point is finer than what can be seen, and half as long.
    text = re.sub(r"-?\d+\.\d{2,}", lambda number: f"{float(number[0]):.1f}", text)
    for colour, own in COLOURS.items():
        text = text.replace(colour, own)
    text = re.sub(r'^<svg\b[^>]*?(viewBox="[^"]*")[^>]*>', r"<svg \1>", text, flags=re.DOTALL)
    text = re.sub(r"\s*\n\s*", " ", text.removeprefix("<svg"))
    begin = Markup('<svg class="drawing" role="img" aria-label="{}"').format(alt)
    return begin + Markup(text)
