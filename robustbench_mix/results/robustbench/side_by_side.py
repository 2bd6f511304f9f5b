"""Show entries of RobustBench beside our runs, in a table that is not part of the leaderboard.

A figure that others report is not a record: its images, code and machine are unknown. So each line
names its source, and a table holds only one data set, norm and epsilon.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd

from robustbench_mix.config.epsilon import parse_eps
from robustbench_mix.config.norms import ROBUSTBENCH
from robustbench_mix.errors import RbmixError
from robustbench_mix.results import flags, records
from robustbench_mix.results.intervals import wilson
from robustbench_mix.results.markdown import head, line, plain
from robustbench_mix.results.records import Run
from robustbench_mix.results.robustbench import model_info
from robustbench_mix.results.robustbench.model_info import ReadEntry, parse_percent
from robustbench_mix.storage.paths import is_folder

MAX_ENTRIES = 10_000
OURS, THEIRS = "measured here", "reported elsewhere"
COLUMNS = [
    "source", "dataset", "norm", "eps", "model", "architecture", "n", "clean", "autoattack",
    "external", "reported", "additional_data", "notes", "checkpoint_hash", "link",
]  # fmt: skip

Board = tuple[str, str, Fraction]


def entries(path: Path) -> list[ReadEntry]:
    """Read every entry of a file, or of a folder like `model_info`, in the order of the paths.

    Folders of corruption benchmarks, which have no attack, are left out.

    Raises:
        RbmixError: There is no entry, there are too many, or one cannot be read.
    """
    if not is_folder(path):
        return [model_info.read(path)]
    inside = sorted(path.rglob("*.json"))
    found = [one for one in inside if not one.parent.name.startswith("corruptions")]
    if not found:
        raise RbmixError(f"{path} holds no entries (looked for *.json)")
    if len(found) > MAX_ENTRIES:
        raise RbmixError(f"{path} holds {len(found):,} entries (allowed: up to {MAX_ENTRIES:,})")
    return [model_info.read(one) for one in found]


def rows(runs: Sequence[Run], theirs: Sequence[ReadEntry]) -> pd.DataFrame:
    """Return our runs and their entries, best AutoAttack accuracy first within each table.

    Args:
        runs: Our runs. Only those under the full AutoAttack are taken, at epsilons with entries.
        theirs: Entries of others. Only those with such a run are taken.

    Returns:
        A table with `COLUMNS`, accuracies as shares.
    """
    ours = [row for run in runs if not model_info.why_no_entry(run) for row in _our_rows(run)]
    others = [_their_row(entry) for entry in theirs]
    both = {_board_of(row) for row in ours} & {_board_of(row) for row in others}
    frame = pd.DataFrame([row for row in ours + others if _board_of(row) in both], columns=COLUMNS)
    frame["n"] = frame["n"].astype("Int64")
    keys = [_board_of(row) for row in frame.to_dict("records")]
    order = sorted(
        range(len(frame)),
        key=lambda at: (keys[at], -frame.autoattack[at], frame.source[at], frame.model[at]),
    )
    return frame.iloc[order].reset_index(drop=True)


def to_csv(frame: pd.DataFrame) -> str:
    """Return the rows as CSV, unrounded."""
    buffer = io.StringIO()
    frame.to_csv(buffer, index=False, lineterminator="\n")
    return buffer.getvalue()


def to_markdown(frame: pd.DataFrame) -> str:
    """Return Markdown with one table for each data set, norm and epsilon."""
    lines = [
        "# Beside RobustBench",
        "",
        f"Accuracy in %. Lines *{OURS}* come from records, with 95 % Wilson intervals. Lines",
        f"*{THEIRS}* are what files in the shape of RobustBench's `model_info` say: nothing",
        "of it was measured here, and it may be of other test images than ours.",
        "*External* is an attack of others that RobustBench prefers to AutoAttack.",
    ]
    titles = ["source", "model", "architecture", "n", "clean", "AutoAttack", "external", "reported"]
    for (dataset, norm, _), table in groupby(frame.to_dict("records"), _board_of):
        members = list(table)
        words = f"## {dataset} · {ROBUSTBENCH[norm]} · eps {members[0]['eps']}"
        lines += ["", plain(words), "", *head([*titles, "additional data", "notes"])]
        lines += [line(_cells(row)) for row in members]
    return "\n".join(lines) + "\n"


def content(results: Path, theirs: Path) -> dict[Path, str]:
    """Return the text of beside.csv and beside.md in the results folder.

    Args:
        results: The results folder.
        theirs: A file or a folder of entries.

    Raises:
        RbmixError: Nothing is comparable.
    """
    read = entries(theirs)
    found = rows(records.read_all(results), read)
    if found.empty:
        boards = sorted({f"{one.entry.dataset} {one.norm} {one.entry.eps}" for one in read})
        raise RbmixError(
            f"{results} has no run under the full AutoAttack for what {theirs} is of "
            f"({', '.join(boards[:10])})"
        )
    left_out = len(read) - int((found.source == THEIRS).sum())
    return {
        results / "beside.csv": to_csv(found),
        results / "beside.md": to_markdown(found)
        + f"\n{left_out} entries of other data sets, norms or epsilons are left out.\n",
    }


def _our_rows(run: Run) -> list[dict[str, Any]]:
    h, survived = run.header, run.standing()
    n = len(survived)
    return [
        {
            "source": OURS, "dataset": h.dataset, "norm": h.norm, "eps": eps,
            "model": model_info.default_id(run), "architecture": h.model, "n": n,
            "clean": records.accuracy(int(survived["0"].sum()), n),
            "autoattack": records.accuracy(int(survived[eps].sum()), n),
            "notes": ", ".join([f"{run.backend} backend", *flags.of_run(run)]),
            "checkpoint_hash": h.checkpoint_hash,
        }
        for eps in run.eps
    ]  # fmt: skip


def _their_row(read: ReadEntry) -> dict[str, Any]:
    entry = read.entry
    notes = [*(["unreliable"] if entry.unreliable else []), _on_one_line(entry.footnote)]
    return {
        "source": THEIRS, "dataset": entry.dataset, "norm": read.norm, "eps": entry.eps,
        "model": read.model_id, "architecture": _on_one_line(entry.architecture),
        "clean": parse_percent(entry.clean_acc), "autoattack": parse_percent(entry.autoattack_acc),
        "external": parse_percent(entry.external), "reported": parse_percent(entry.reported),
        "additional_data": entry.additional_data, "notes": "; ".join(filter(None, notes)),
        "link": _on_one_line(entry.link),
    }  # fmt: skip


def _on_one_line(text: str | None) -> str:
    """Return the text without line ends, which would begin another row of the CSV."""
    return " ".join((text or "").split())


def _board_of(row: dict[str, Any]) -> Board:
    return row["dataset"], row["norm"], parse_eps(row["eps"], row["norm"]).exact


def _cells(row: dict[str, Any]) -> list[str]:
    additional = {True: "yes", False: "no"}.get(row["additional_data"], "")
    shares = [_format_percent(row[name], row["n"]) for name in ("clean", "autoattack")]
    shares += [_format_percent(row[name], pd.NA) for name in ("external", "reported")]
    n = "" if pd.isna(row["n"]) else f"{row['n']:,}"
    words = [row["source"], row["model"], row["architecture"] or "", n]
    return [*words, *shares, additional, row["notes"]]


def _format_percent(value: float, n: Any) -> str:
    """Format a share as RobustBench does; add an interval if the number of images is known."""
    if pd.isna(value):
        return ""
    if pd.isna(n):
        return f"{100 * value:.2f}"
    low, high = wilson(round(value * n), int(n))
    return f"{100 * value:.2f} [{100 * low:.1f}, {100 * high:.1f}]"
