"""Print the plans, the ends and the progress of sweeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.table import Table

from robustbench_mix.claims.recommend import Recommendation
from robustbench_mix.cli.render import decodings, lines, saved, screen
from robustbench_mix.runtime.pace import format_duration
from robustbench_mix.sweeps.scheduler import STATES
from robustbench_mix.sweeps.status import count_by_network, describe_unfinished


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


def sweep(
    shown: dict[str, Any], failures: list[str], written: list[Path], results: str | None
) -> None:
    """Print how a sweep ended: its networks, what failed, and the next command.

    Args:
        shown: The outcome of `sweeps.analysis.outcome`; empty for a sweep that was only planned.
        failures: The messages of the tasks that failed.
        written: The files that were written.
        results: The results folder; None for a sweep that was only planned.
    """
    if shown.get("networks"):
        screen().print(_networks(shown["networks"]))
    if shown.get("unshufflings"):
        decodings(shown["unshufflings"], [], [])
    saved(written)
    lines(f"failed: {failure}" for failure in failures)
    if results is None:
        lines(["next: the same command without --plan runs it"])
    elif failures:
        lines(["next: the same command tries again what failed"])
    else:
        lines([f"next: `rbmix claims {results}` tests the claims on these records"])


def _networks(rows: list[dict[str, Any]]) -> Table:
    """Return the table of accuracies, means over the seeds."""
    table = Table(title="Accuracy in %, mean over the seeds")
    for column in ("attack", "network", "seeds", "clean", "within each eps"):
        table.add_column(column, justify="right" if column in ("seeds", "clean") else "left")
    for row in rows:
        clean, *others = ((eps, f"{100 * share:.1f}") for eps, share in row["accuracy"].items())
        table.add_row(
            row["attack"],
            row["network"],
            f"{row['seeds']} x {row['n']:,}",
            clean[1],
            ", ".join(f"{eps}: {share}" for eps, share in others),
        )
    return table


def status(sweeps: list[dict[str, Any]]) -> None:
    """Print the progress of each sweep; states that no task is in have no column."""
    console = screen()
    for sweep in sweeps:
        table = Table(title=f"{sweep['sweep']}: {sweep['runner']}, on {sweep['machine']}")
        rows = count_by_network(sweep)
        states = [state for state in STATES if any(row[state] for row in rows)]
        for column in ("network", *states, "left, about"):
            table.add_column(column, justify="left" if column == "network" else "right")
        for row in rows:
            counts = (str(row[state]) for state in states)
            table.add_row(row["network"], *counts, format_duration(row["seconds"]))
        console.print(table)
        lines(
            [
                f"began {sweep['began']}, last change {sweep['changed']}",
                *describe_unfinished(sweep),
            ]
        )
