"""The leaderboard: tidy rows and a readable table, both pure functions of the records."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from robustbench_mix.errors import RbmixError
from robustbench_mix.results import difference, flags, probes, records
from robustbench_mix.results.intervals import wilson
from robustbench_mix.results.markdown import head, line, plain
from robustbench_mix.results.probes import Transfer
from robustbench_mix.results.records import Run
from robustbench_mix.results.twins import training_words, twin_of
from robustbench_mix.runtime.provenance import PACKAGES
from robustbench_mix.storage.files import files_that_differ, write_if_changed
from robustbench_mix.storage.locks import exclusive_lock
from robustbench_mix.storage.paths import is_folder

CELL = ["model", "spatial", "channel", "seed", "dataset", "protocol"]
VERSIONS = {
    package: package.replace("robustbench-mix", "rbmix") + "_version" for package in PACKAGES
}
COLUMNS = [
    *CELL, "norm", "eps", "n", "correct", "accuracy", "audit_bound",
    "audit_sampled",    "flags", "train_examples", "epochs", "adversarial", "backend", "batch_size",
    "smallest_batch", "protocol_hash", "checkpoint_hash", "data_hash",
    *VERSIONS.values(), "commit", "device", "date",
]  # fmt: skip
ORDER = {"learned": 0, "frozen": 1}


def rows(runs: list[Run], transfers: Sequence[Transfer] = ()) -> pd.DataFrame:
    """Return one row per run and epsilon, 0 (the clean accuracy) included.

    Args:
        runs: The runs.
        transfers: Those of `rbmix explain`, which may raise a flag.

    Returns:
        A table with `COLUMNS`, numbers unrounded.
    """
    found: list[dict[str, Any]] = []
    for run in sorted(runs, key=_sort_key):
        header = run.header
        common: dict[str, Any] = {
            name: getattr(header, name) for name in COLUMNS if name in header.__struct_fields__
        }
        common["backend"] = run.backend
        common["adversarial"] = header.adversarial or ""
        common["flags"] = " ".join(flags.of_run(run, transfers))
        common |= {column: header.versions.get(p, "") for p, column in VERSIONS.items()}
        for eps, survived in run.standing().items():
            correct, n = int(survived.sum()), len(survived)
            found.append(
                {
                    **common,
                    "eps": eps,
                    "n": n,
                    "correct": correct,
                    "accuracy": records.accuracy(correct, n),
                    "audit_bound": run.audit_bound(eps),
                    "audit_sampled": run.audit_sampled(eps),
                    "date": run.date,
                }
            )
    frame = pd.DataFrame(found, columns=COLUMNS)
    for name in ("audit_sampled", "train_examples", "epochs", "smallest_batch"):
        frame[name] = frame[name].astype("Int64")
    return frame


def to_csv(runs: list[Run], transfers: Sequence[Transfer] = ()) -> str:
    """Return the rows as CSV, numbers unrounded; as `rows`."""
    buffer = io.StringIO()
    rows(runs, transfers).to_csv(buffer, index=False, lineterminator="\n")
    return buffer.getvalue()


def to_markdown(runs: list[Run], transfers: Sequence[Transfer] = ()) -> str:
    """Return one line per curve, the members of a pair together with their difference.

    Args:
        runs: The runs.
        transfers: Those of `rbmix explain`, which may raise a flag.
    """
    lines = [
        "# Leaderboard",
        "",
        "Accuracy in % of all images that are classified correctly and stay so under every",
        "attack within eps, an upper bound on the robust accuracy, with 95 % Wilson intervals.",
        "A *difference* is that curve minus its learned twin's over the same images, in",
        "percentage points, with a 95 % paired interval (Agresti & Min 2005). *Trained on* is",
        "images x epochs, then the radius of adversarial examples and what differs from PGD with",
        "the last weights. *full ≥* is what an audited run promises with 95 % confidence of the",
        "whole ensemble, which as many of the standing images met as the parentheses say.",
        "*Flags* are reasons not to believe a row yet (`rbmix flags` explains them).",
    ]
    for group in _tables(runs):
        header = group[0].header
        words = f"{header.norm}, {group[0].backend} backend"
        lines += ["", plain(f"## {header.dataset} · {header.protocol} ({words})"), ""]
        titles = [
            "model",
            "spatial",
            "channel",
            "seed",
            "trained on",
            "n",
            "clean",
            *group[0].eps,
            "flags",
        ]
        lines += head(titles)
        for run in group:
            cells = [
                _format_share(s) + _format_audit_bound(run, eps)
                for eps, s in run.standing().items()
            ]
            lines.append(
                line([*_model_cells(run), *cells, ", ".join(flags.of_run(run, transfers))])
            )
            twin = twin_of(run, group)
            if twin is not None:
                lines.append(
                    line(["", "*difference*", *[""] * 4, *_difference_cells(twin, run), ""])
                )
    return "\n".join(lines) + "\n"


def write(results: Path) -> list[Path]:
    """Regenerate leaderboard.csv and leaderboard.md from the records; return which changed."""
    with exclusive_lock(
        results / "leaderboard.csv"
    ):  # otherwise one of two processes at once would miss the other's run
        return write_if_changed(_content(results))


def stale(results: Path) -> list[Path]:
    """Return the leaderboard files that differ from what the records give."""
    return files_that_differ(_content(results))


def _content(results: Path) -> dict[Path, str]:
    if not is_folder(results):
        raise RbmixError(f"results folder {results} does not exist")
    runs = records.read_all(results)
    if not runs:
        raise RbmixError(f"{results} holds no records (looked for runs/*/*.parquet)")
    transfers = probes.read_transfers(results)
    return {
        results / "leaderboard.csv": to_csv(runs, transfers),
        results / "leaderboard.md": to_markdown(runs, transfers),
    }


def _sort_key(run: Run) -> tuple[Any, ...]:
    h = run.header
    spatial = (ORDER.get(h.spatial, 2), h.spatial)
    training = (h.train_examples or 0, h.epochs or 0, h.adversarial or "")
    rest = (
        h.protocol_hash,
        h.data_hash,
        h.checkpoint_hash,
        run.backend,
        h.batch_size,
        h.device,
    )
    return (
        h.dataset, h.protocol, h.model, training, h.channel, h.seed, spatial, rest
    )  # fmt: skip


def _tables(runs: list[Run]) -> list[list[Run]]:
    """Group runs by table: the same data set, protocol name, norm and grid."""
    groups: dict[tuple[Any, ...], list[Run]] = {}
    for run in sorted(runs, key=_sort_key):
        h = run.header
        key = (h.dataset, h.protocol, h.norm, run.backend, *run.eps)
        groups.setdefault(key, []).append(run)
    return list(groups.values())


def _model_cells(run: Run) -> list[str]:
    h = run.header
    return [h.model, h.spatial, h.channel, str(h.seed), training_words(h), str(h.n)]


def _format_share(survived: Any) -> str:
    correct, n = int(survived.sum()), len(survived)
    low, high = wilson(correct, n)
    return f"{100 * correct / n:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def _format_audit_bound(run: Run, eps: str) -> str:
    """Return the lower bound under the full ensemble if only a sample met it, else ''."""
    bound = run.audit_bound(eps)
    if not bound > 0:  # NaN: not audited
        return ""
    survived = run.standing()[eps]
    least = 100 * max(survived.mean() - bound, 0)
    return f", full ≥ {least:.1f} ({run.audit_sampled(eps)} audited)"


def _difference_cells(twin: Run, run: Run) -> list[str]:
    return [one.in_points() for one in difference.between(twin, run)]
