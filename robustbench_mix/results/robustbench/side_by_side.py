"""Entries of RobustBench beside our own runs: a table of its own, never part of the leaderboard.

What others report is no record: its images, its code and its machine are unknown here. So each
line says where it is from, and only what shares data set, norm and epsilon shares a table.
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
from robustbench_mix.results.robustbench.model_info import share
from robustbench_mix.storage.paths import is_folder

MAX_ENTRIES = 10_000
OURS, THEIRS = "measured here", "reported elsewhere"
COLUMNS = [
    "source", "dataset", "norm", "eps", "model", "architecture", "n", "clean", "autoattack",
    "external", "reported", "additional_data", "notes", "checkpoint_hash", "link",
]  # fmt: skip

Board = tuple[str, str, Fraction]


def entries(path: Path) -> list[dict[str, Any]]:
    """Every entry of a file, or of a folder like `model_info`, in the order of the paths.

    Folders of corruption benchmarks, which have no attack, are left out. Raises RbmixError if
    there is no entry, if there are too many, or if one cannot be read.
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


def rows(runs: Sequence[Run], theirs: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """`COLUMNS`, accuracies as shares, best AutoAttack accuracy first within each table.

    Of our runs those under the full AutoAttack, at the epsilons for which there are entries;
    of theirs those for which there is such a run.
    """
    ours = [row for run in runs if not model_info.refusal(run) for row in _ours(run)]
    others = [_theirs(entry) for entry in theirs]
    both = {_board(row) for row in ours} & {_board(row) for row in others}
    frame = pd.DataFrame([row for row in ours + others if _board(row) in both], columns=COLUMNS)
    frame["n"] = frame["n"].astype("Int64")
    keys = [_board(row) for row in frame.to_dict("records")]
    order = sorted(
        range(len(frame)),
        key=lambda at: (keys[at], -frame.autoattack[at], frame.source[at], frame.model[at]),
    )
    return frame.iloc[order].reset_index(drop=True)


def to_csv(frame: pd.DataFrame) -> str:
    """The rows as CSV, unrounded."""
    buffer = io.StringIO()
    frame.to_csv(buffer, index=False, lineterminator="\n")
    return buffer.getvalue()


def to_markdown(frame: pd.DataFrame) -> str:
    """One table for each data set, norm and epsilon."""
    lines = [
        "# Beside RobustBench",
        "",
        f"Accuracy in %. Lines *{OURS}* come from records, with 95 % Wilson intervals. Lines",
        f"*{THEIRS}* are what files in the shape of RobustBench's `model_info` say: nothing",
        "of it was measured here, and it may be of other test images than ours.",
        "*External* is an attack of others that RobustBench prefers to AutoAttack.",
    ]
    titles = ["source", "model", "architecture", "n", "clean", "AutoAttack", "external", "reported"]
    for (dataset, norm, _), table in groupby(frame.to_dict("records"), _board):
        members = list(table)
        words = f"## {dataset} · {ROBUSTBENCH[norm]} · eps {members[0]['eps']}"
        lines += ["", plain(words), "", *head([*titles, "additional data", "notes"])]
        lines += [line(_cells(row)) for row in members]
    return "\n".join(lines) + "\n"


def content(results: Path, theirs: Path) -> dict[Path, str]:
    """What beside.csv and beside.md in the results folder hold.

    Raises RbmixError where nothing is comparable.
    """
    read = entries(theirs)
    found = rows(records.read_all(results), read)
    if found.empty:
        boards = sorted({f"{e['dataset']} {e['norm']} {e['eps']}" for e in read})
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


def _ours(run: Run) -> list[dict[str, Any]]:
    h, survived = run.header, run.survived()
    n = len(survived)
    return [
        {
            "source": OURS, "dataset": h["dataset"], "norm": h["norm"], "eps": eps,
            "model": model_info.default_id(run), "architecture": h["model"], "n": n,
            "clean": records.accuracy(int(survived["0"].sum()), n),
            "autoattack": records.accuracy(int(survived[eps].sum()), n),
            "notes": ", ".join([f"{run.backend} backend", *flags.of_run(run)]),
            "checkpoint_hash": h["checkpoint_hash"],
        }
        for eps in run.eps
    ]  # fmt: skip


def _theirs(entry: dict[str, Any]) -> dict[str, Any]:
    # On one line each: a line end within a cell would begin another row of the CSV.
    names = ("architecture", "footnote", "link")
    words = {name: " ".join((entry.get(name) or "").split()) for name in names}
    notes = [*(["unreliable"] if entry.get("unreliable") else []), words["footnote"]]
    return {
        "source": THEIRS, "dataset": entry["dataset"], "norm": entry["norm"], "eps": entry["eps"],
        "model": entry["model_id"], "architecture": words["architecture"],
        "clean": share(entry["clean_acc"]), "autoattack": share(entry["autoattack_acc"]),
        "external": share(entry.get("external")), "reported": share(entry.get("reported")),
        "additional_data": entry.get("additional_data"), "notes": "; ".join(filter(None, notes)),
        "link": words["link"],
    }  # fmt: skip


def _board(row: dict[str, Any]) -> Board:
    return row["dataset"], row["norm"], parse_eps(row["eps"], row["norm"]).exact


def _cells(row: dict[str, Any]) -> list[str]:
    told = {True: "yes", False: "no"}.get(row["additional_data"], "")
    shares = [_in_percent(row[name], row["n"]) for name in ("clean", "autoattack")]
    shares += [_in_percent(row[name], pd.NA) for name in ("external", "reported")]
    n = "" if pd.isna(row["n"]) else f"{row['n']:,}"
    words = [row["source"], row["model"], row["architecture"] or "", n]
    return [*words, *shares, told, row["notes"]]


def _in_percent(value: float, n: Any) -> str:
    """As RobustBench writes it; with an interval where the number of images is known."""
    if pd.isna(value):
        return ""
    if pd.isna(n):
        return f"{100 * value:.2f}"
    low, high = wilson(round(value * n), int(n))
    return f"{100 * value:.2f} [{100 * low:.1f}, {100 * high:.1f}]"
