"""The table of an explanation, with a sentence on what it shows and one on what it cannot show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from robustbench_mix.results import svg
from robustbench_mix.results.markdown import head, line, plain
from robustbench_mix.results.random_effects import estimate
from robustbench_mix.storage.files import write_if_changed
from robustbench_mix.storage.locks import exclusive_lock

DRAWINGS = "why"  # folder of the drawings, in a results folder


@dataclass(frozen=True)
class Drawing:
    """A figure of the explanation `name`, with words for readers who cannot see it."""

    name: str
    file: str
    alt: str
    draw: Callable[[Any], None]


@dataclass(frozen=True)
class Explanation:
    """An explanation; `shows` and `cannot` are one sentence each, a row has a text per column."""

    name: str
    title: str
    shows: str
    cannot: str
    columns: list[str]
    rows: list[list[str]] = field(default_factory=list)
    drawings: list[Drawing] = field(default_factory=list)


def draw(results: Path, explanations: list[Explanation]) -> list[Path]:
    """Write the drawings that the Markdown links to.

    Args:
        results: The results folder.
        explanations: The explanations with their drawings.

    Returns:
        The files that changed.
    """
    with exclusive_lock(results / DRAWINGS):
        drawings = [each for one in explanations for each in one.drawings]
        return write_if_changed(
            {results / DRAWINGS / each.file: svg.render(each.draw) for each in drawings}
        )


def section_lines(explanation: Explanation, folder: str = DRAWINGS) -> list[str]:
    """Return the lines of a section; `folder` is the path of the drawings from the page."""
    lines = [f"### {explanation.title}", "", f"{explanation.shows} {explanation.cannot}", ""]
    if not explanation.rows:
        return [*lines, "No records."]
    lines += [*head(explanation.columns), *map(line, explanation.rows)]
    for one in explanation.drawings:
        lines += ["", f"![{plain(one.alt)}]({folder}/{one.file})"]
    return lines


def points(values: np.ndarray) -> str:
    """Format a mean difference of shares (seeds, images) in points, with its interval."""
    return interval(100 * values.astype(float), "+.1f")


def interval(values: np.ndarray, form: str) -> str:
    """Format the mean of values (seeds, images) with its 95 % interval.

    Args:
        values: The values, (seeds, images).
        form: The format of each number, for example `+.1f`.
    """
    low, high = estimate(values.astype(float)).interval()
    return f"{values.mean():{form}} [{low:{form}}, {high:{form}}]"


def percent(values: np.ndarray) -> str:
    """Format the mean of shares in %; `-` if there are none."""
    return f"{100 * values.mean():.1f}" if values.size else "-"
