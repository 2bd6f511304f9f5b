"""Lines of a Markdown table."""

from __future__ import annotations

import re
from collections.abc import Iterable


def line(cells: Iterable[object]) -> str:
    """Return one row; emphasis by asterisks is kept, everything else is `plain`."""
    return "| " + " | ".join(plain(str(cell)) for cell in cells) + " |"


def head(titles: list[str]) -> list[str]:
    """Return the row of titles, and the rule below it."""
    return [line(titles), line(["---"] * len(titles))]


def plain(text: str) -> str:
    """Return a text without what Markdown takes for cells, code, links or tags."""
    return re.sub(r"[\\|`<]|\](?=\()", r"\\\g<0>", " ".join(text.split()))
