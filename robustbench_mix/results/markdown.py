"""Write the lines of a Markdown table."""

from __future__ import annotations

import re
from collections.abc import Iterable


def line(cells: Iterable[object]) -> str:
    """Return one row of plain cells; emphasis by asterisks is kept."""
    return "| " + " | ".join(plain(str(cell)) for cell in cells) + " |"


def head(titles: list[str]) -> list[str]:
    """Return the row of titles, and the rule below it."""
    return [line(titles), line(["---"] * len(titles))]


def plain(text: str) -> str:
    """Escape what Markdown would read as cells, code, links or tags."""
    return re.sub(r"[\\|`<]|\](?=\()", r"\\\g<0>", " ".join(text.split()))
