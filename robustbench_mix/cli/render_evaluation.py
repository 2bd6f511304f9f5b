"""Print an evaluation: its curve, the difference to its twins, and how far to trust them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from msgspec import to_builtins
from rich.table import Table

from robustbench_mix.cli.render import network_name, saved, screen
from robustbench_mix.results import flags
from robustbench_mix.results.difference import Difference
from robustbench_mix.results.headers import EXTERNAL
from robustbench_mix.results.intervals import wilson
from robustbench_mix.results.records import Run
from robustbench_mix.results.twins import LEARNED
from robustbench_mix.storage import remote


@dataclass(frozen=True)
class Answer:
    """What an evaluation found.

    Attributes:
        run: The run.
        path: The path of its records.
        rows: Its rows of the leaderboard.
        differences: The differences to its twins.
        available: Number of test images of the data set.
        is_loaded: Whether the weights were given, so that a twin needs its own.
        written: The files that were written.
    """

    run: Run
    path: Path
    rows: pd.DataFrame
    differences: list[Difference]
    available: int
    is_loaded: bool
    written: list[Path]


def evaluation(answer: Answer) -> None:
    """Print the curve of a run, its twins, its images and cost, its flags, and its files."""
    console = screen()
    console.print(_curve(answer))
    if answer.differences:
        console.print(_differences(answer))
    for line in _remarks(answer):
        console.print(line)
    path, written = answer.path, answer.written
    saved(written, [] if path in written else [path])


def as_json(answer: Answer) -> dict[str, Any]:
    """Return an evaluation as plain JSON values."""
    run = answer.run
    return {
        "rows": json.loads(answer.rows.to_json(orient="records")),
        "differences": [asdict(one) for one in answer.differences],
        "time_seconds": run.time_seconds,
        "passes_per_image": passes_per_image(run),
        "passes": to_builtins(run.header.passes),
        "audit": to_builtins(run.header.audit or []),
        "flags": flags.of_run(run),
        "randomised": run.header.randomised or 0,
        "records": remote.display_name(answer.path),
        "paths": [str(path) for path in answer.written],
    }


def passes_per_image(run: Run) -> dict[str, float]:
    """Return the mean forward and gradient passes of the attack per image of the run."""
    spent = run.header.passes.values()
    return {
        "forward": sum(stage.forward for stage in spent) / run.header.n,
        "gradient": sum(stage.gradient for stage in spent) / run.header.n,
    }


def _curve(answer: Answer) -> Table:
    h = answer.run.header
    name = network_name(h.model, h.spatial, h.channel)
    table = Table(title=f"{name} on {h.dataset} under {h.protocol} ({h.norm})")
    for column in ("eps", "correct", "accuracy", "95 % interval", "broken by"):
        table.add_column(column, justify="left" if column == "broken by" else "right")
    for row in answer.rows.itertuples():
        low, high = wilson(row.correct, row.n)
        table.add_row(
            row.eps,
            f"{row.correct}/{row.n}",
            f"{row.accuracy:.1%}",
            f"{low:.1%} to {high:.1%}",
            _broken_by(answer.run, row.eps),
        )
    return table


def _differences(answer: Answer) -> Table:
    """Return a table with a column for each twin."""
    columns: dict[str, list[Difference]] = {}
    for one in answer.differences:
        columns.setdefault(one.spatial, []).append(one)
    table = Table(title="Difference of twins in points, with its paired 95 % interval")
    table.add_column("eps", justify="right")
    for spatial in columns:
        table.add_column(f"{spatial} - {LEARNED}", justify="right")
    for cells in zip(*columns.values(), strict=True):
        table.add_row(cells[0].eps, *(one.in_points() for one in cells))
    return table


def _remarks(answer: Answer) -> list[str]:
    """Return the lines below the tables."""
    run, h = answer.run, answer.run.header
    passes = passes_per_image(run)
    images = (
        f"{h.n:,} of {answer.available:,} test images (--examples N takes more)"
        if h.n < answer.available
        else f"all {h.n:,} test images"
    )
    lines = [
        _twin_hint(answer),
        f"{images}; {passes['forward']:,.0f} forward and {passes['gradient']:,.0f} gradient "
        f"passes an image; attacked in {run.time_seconds.get('attacking', 0):.0f} s on {h.device}",
        _placing(run),
    ]
    if h.randomised is not None and h.diagnostics is not None:
        drawn = flags.draws_random_numbers(h.diagnostics)
        lines.append(
            f"said to be randomised: each verdict is the majority of {h.randomised} passes"
            + ("" if drawn else "; but it is deterministic, two passes agree")
        )
    lines += [flags.line(name, words) for name, words in flags.of_run(run).items()]
    lines.append(_spot_check(run))
    lines += [
        f"eps {eps}: {found.broken} of {found.sampled} audited survivors fell to the "
        f"whole ensemble; with 95 % confidence it would break at most "
        f"{100 * found.bound:.1f} pp more"
        for eps, found in zip(run.eps, h.audit or [], strict=False)
    ]
    return [line for line in lines if line]


def _twin_hint(answer: Answer) -> str:
    """Say how to get the difference to a twin that was not evaluated yet, if there is a twin."""
    h = answer.run.header
    if answer.differences or h.spatial == EXTERNAL:
        return ""
    what, word = ("a frozen", "frozen") if h.spatial == LEARNED else ("its learned", LEARNED)
    own = ", and the --weights of the twin," if answer.is_loaded else ""
    return (
        f"{what} twin has no run here yet: the same command with --spatial {word}{own} makes it "
        "and shows the difference"
    )


def _placing(run: Run) -> str:
    """Say why FGSM broke images although it is no part of the attack, if it did."""
    h = run.header
    if "fgsm" not in h.passes or h.protocol_spec.algorithm == "fgsm":
        return ""
    return (
        f"fgsm is the placing step, before {h.protocol}: one gradient step for each image finds "
        "the epsilon at which to begin, and its successes are verified like all others"
    )


def _spot_check(run: Run) -> str:
    """Say how many conclusions about smaller epsilons were tested, if any were drawn."""
    tested = run.header.checked
    if tested is None or not any(any(marks) for marks in run.table["inferred"]):
        return ""
    return (
        "spot check: an image that withstands the attack at one epsilon is taken to withstand it "
        f"at the smaller ones; {tested.confirmed + tested.refuted} of these conclusions tested by "
        f"an attack, {tested.refuted} found wrong"
    )


def _broken_by(run: Run, eps: str) -> str:
    """Say how many images each component was the first to break, up to this epsilon."""
    if eps == "0":
        return ""
    position = run.eps.index(eps)
    counts: dict[str, int] = {}
    for names in run.table["component"]:
        if names[position]:
            counts[names[position]] = counts.get(names[position], 0) + 1
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
