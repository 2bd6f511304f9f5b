"""The table of benchmarks, as Markdown and as plain JSON values."""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from robustbench_mix.storage.validation import Name, is_name


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Args:
        work: The measured work.
        against: The work it is compared with.
        target: The ratio to reach, as text.
        values: The ratios of the repetitions.
        note: Remarks.
        unit: Unit of the values.
    """

    work: str
    against: str
    target: str
    values: list[Annotated[float, Meta(ge=0)]]
    note: str = ""
    unit: str = "x"


@dataclass(frozen=True)
class Part:
    """The rows of a part, the machine they were measured on, and the peers not installed."""

    where: str
    rows: list[Row] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


Table = dict[str, Part]  # by the name of the part, in the order of the table


def join(values: Sequence[object]) -> str:
    """Return values of several epsilons as one cell shows them: `3/2/0`."""
    return "/".join(map(str, values))


def to_json(table: Table) -> dict[str, Any]:
    """Return the table as plain values."""
    return {name: asdict(part) for name, part in table.items()}


def from_json(plain: Any) -> Table:
    """Return the table that `to_json` gave; raise ValueError for anything else."""
    try:
        table = msgspec.convert(plain, dict[Name, Part])
    except msgspec.ValidationError as error:
        raise ValueError(f"no parts with rows of texts and numbers: {error}") from error
    for name, part in table.items():
        if not is_name(name) or not all(map(_is_cell_text, _texts(part))):
            raise ValueError(f"no parts with rows of texts that fit a table: {name!r}")
    return table


def _texts(part: Part) -> list[str]:
    rows = [(row.work, row.against, row.target, row.note, row.unit) for row in part.rows]
    return [part.where, *part.skipped, *(text for row in rows for text in row)]


def _is_cell_text(text: str) -> bool:
    """Return whether a text can be printed, and stays in its cell of the table."""
    return text.isprintable() and not re.search(r"[|<]|\]\(", text)


def to_markdown(table: Table) -> str:
    """Return the Markdown: one table for each machine, one line per row."""
    lines = [
        "# Benchmarks",
        "",
        "Wall times are ratios of two jobs in one run, alternating A B A B: median, and the",
        "range where there was more than one repetition. Robust images are given at each epsilon.",
        "*Missed*: the median does not reach the target.",
    ]
    for where in dict.fromkeys(part.where for part in table.values()):
        here = [part for part in table.values() if part.where == where]
        lines += [
            "",
            f"`rbmix bench` on {where}.",
            "",
            "| work | against | to reach | reached | notes |",
            "| --- | --- | --- | --- | --- |",
        ]
        lines += [
            f"| {row.work} | {row.against} | {row.target} | {format_values(row)}"
            f"{' **missed**' if is_missed(row) else ''} | {row.note} |"
            for part in here
            for row in part.rows
        ]
        if skipped := dict.fromkeys(name for part in here for name in part.skipped):
            lines += ["", f"Not installed, so not measured: {', '.join(skipped)}."]
    return "\n".join(lines) + "\n"


def is_missed(row: Row) -> bool:
    """Return whether the median of a row is on the wrong side of its target, as `≥ 3x`, `≤ 1/2`."""
    wanted = re.match(r"([≥≤]) (\d{1,9}(?:\.\d{1,9}|/[1-9]\d{0,8})?)", row.target)
    if not wanted or not row.values:
        return False
    limit, median = float(Fraction(wanted[2])), statistics.median(row.values)
    return median < limit if wanted[1] == "≥" else median > limit


def format_values(row: Row) -> str:
    """Return the median, and the range if there is more than one value."""
    if not row.values:
        return "-"
    median = f"{statistics.median(row.values):.3g}{row.unit}"
    if len(row.values) == 1:
        return median
    return f"{median} ({min(row.values):.3g} to {max(row.values):.3g})"
