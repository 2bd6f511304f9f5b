"""The benchmark table, as Markdown and as plain JSON values."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Row:
    """One line: some work, what it is measured against, what to reach, what was reached.

    `values` are the ratios of the repetitions; `note` says what else there is to know.
    """

    work: str
    against: str
    target: str
    values: list[float]
    note: str = ""
    unit: str = "x"


@dataclass(frozen=True)
class Table:
    """The rows measured so far, where, and which peers were not there."""

    where: str
    rows: list[Row] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


def to_json(table: Table) -> dict[str, Any]:
    """The same as plain values."""
    return asdict(table)


def to_markdown(table: Table) -> str:
    """A heading, where it was measured, one line per row."""
    lines = [
        "# Benchmarks",
        "",
        f"`rbmix bench` on {table.where}.",
        "",
        "Wall times are ratios of two jobs in one run, alternating A B A B: median, and the",
        "range where there was more than one repetition. Robust images are given at each epsilon.",
        "",
        "| work | against | to reach | reached | notes |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {row.work} | {row.against} | {row.target} | {reached(row)} | {row.note} |"
        for row in table.rows
    ]
    if table.skipped:
        lines += ["", f"Not installed, so not measured: {', '.join(table.skipped)}."]
    return "\n".join(lines) + "\n"


def reached(row: Row) -> str:
    """The median, and the range of more than one value."""
    if not row.values:
        return "-"
    median = f"{statistics.median(row.values):.3g}{row.unit}"
    if len(row.values) == 1:
        return median
    return f"{median} ({min(row.values):.3g} to {max(row.values):.3g})"
