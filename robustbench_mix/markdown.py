"""Lines of a Markdown table."""

from __future__ import annotations

from collections.abc import Iterable


def line(cells: Iterable[object]) -> str:
    """One row."""
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def head(titles: list[str]) -> list[str]:
    """The titles, and the rule below them."""
    return [line(titles), line(["---"] * len(titles))]
