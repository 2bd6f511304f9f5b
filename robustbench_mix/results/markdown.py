"""Lines of a Markdown table."""

from __future__ import annotations

import re
from collections.abc import Iterable


def line(cells: Iterable[object]) -> str:
    """One row; emphasis by asterisks is kept, everything else is `plain`."""
    return "| " + " | ".join(plain(str(cell)) for cell in cells) + " |"


def head(titles: list[str]) -> list[str]:
    """The titles, and the rule below them."""
    return [line(titles), line(["---"] * len(titles))]


def plain(text: str) -> str:
    """The text, which may hold a name of anybody's choice, without cells, code, links or tags."""
    return re.sub(r"[\\|`<]|\](?=\()", r"\\\g<0>", " ".join(text.split()))
