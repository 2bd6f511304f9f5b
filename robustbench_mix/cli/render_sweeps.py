"""Print the plans, the ends and the progress of sweeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.table import Table

from robustbench_mix.claims.recommend import Recommendation
from robustbench_mix.cli.render import lines, saved, screen
from robustbench_mix.runtime.pace import format_duration
from robustbench_mix.sweeps.scheduler import STATES
from robustbench_mix.sweeps.status import count_by_network, describe_running_and_failed


def plan(name: str, summary: str, rows: list[dict[str, Any]], at_once: int, seconds: float) -> None:
    """Print the plan of a sweep.

    Args:
        name: The name of the sweep.
        summary: Its summary.
        rows: A row for each network.
        at_once: Number of tasks that run at once.
        seconds: Estimated time with that many at once.
    """
    table = Table(title=f"{name}: {summary}")
    for column in ("network", "trained", "attacked", "about"):
        table.add_column(column, justify="left" if column == "network" else "right")
    for row in rows:
        counts = ("{}/{}".format(*row[kind]) for kind in ("trained", "attacked"))
        table.add_row(row["network"], *counts, format_duration(row["seconds"]))
    missing = sum(total - done for r in rows for done, total in (r["trained"], r["attacked"]))
    left = format_duration(sum(row["seconds"] for row in rows))
    console = screen()
    console.print(table)
    console.print(
        f"{missing} left to do, about {left} of work"
        + (f", {format_duration(seconds)} with {at_once} at once" if at_once > 1 else "")
        if missing
        else "everything is done",
    )


def design(found: list[Recommendation], wanted: float) -> None:
    """Print the seeds and images for a wanted interval, if there are records to tell.

    Args:
        found: The recommended designs.
        wanted: Half-width of the interval, as a share.
    """
    if not found:
        return
    table = Table(title=f"frozen minus learned to within {100 * wanted:g} points")
    for column in ("network", "attack", "seeds differ by", "images by", "rest", "plan", "about"):
        table.add_column(column, justify="left" if column in ("network", "attack") else "right")
    for one in found:
        where, plan = one.where, one.design
        words = f"{plan.seeds} seeds x {plan.images:,} images"
        if plan.half_width > wanted:
            words += f" give {100 * plan.half_width:.1f}"
        table.add_row(
            f"{where['model']}, {where['data']}, {where['trained on']}",
            f"{where['attack']} {where['eps']}",
            *(f"{100 * spread:.1f}" for spread in one.spread),
            words,
            format_duration(plan.seconds),
        )
    screen().print(table)


def sweep(failures: list[str], written: list[Path]) -> None:
    """Print how a sweep ended."""
    saved(written)
    lines(f"failed: {failure}" for failure in failures)


def status(sweeps: list[dict[str, Any]]) -> None:
    """Print the progress of each sweep."""
    console = screen()
    for sweep in sweeps:
        table = Table(title=f"{sweep['sweep']}: {sweep['runner']}, on {sweep['machine']}")
        for column in ("network", *STATES, "left, about"):
            table.add_column(column, justify="left" if column == "network" else "right")
        for row in count_by_network(sweep):
            counts = (str(row[state]) for state in STATES)
            table.add_row(row["network"], *counts, format_duration(row["seconds"]))
        console.print(table)
        lines(
            [
                f"began {sweep['began']}, last change {sweep['changed']}",
                *describe_running_and_failed(sweep),
            ]
        )
