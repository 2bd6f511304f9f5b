"""What a page knows of each run: where it is from, and what became of its images."""

from __future__ import annotations

import json
from typing import Any

from markupsafe import Markup

from robustbench_mix.results import flags, twins
from robustbench_mix.results.intervals import wilson
from robustbench_mix.results.probes import Transfer
from robustbench_mix.results.records import Run

MAX_PER_RUN = 500  # images of a run that a page shows
MAX_IN_ALL = 150_000  # images of all runs together, so that the page stays below 2 MB
WRONG = "-"  # in place of a grid index: misclassified without any attack
FIRST = ord("0")  # the character of grid index 0; others follow


def as_json(runs: list[Run], transfers: list[Transfer]) -> Markup:
    """Return all runs as JSON that may stand in a script element.

    `sets` has numbers and labels of the images that runs share, by a key. `runs` has, for each
    run, its `set`, the `facts` to show, `values` (epsilon, accuracy and interval in %), `fate` (for
    each image a character: for the grid index of the first epsilon that breaks it, for the length
    of the grid if none does, or `WRONG`) and `said` (the classes predicted for the images that are
    `WRONG`, in their order). `classes` names the classes of a data set where records do.

    Args:
        runs: The runs, in the order of the page.
        transfers: Records of `rbmix explain`, for the names of classes and for flags.
    """
    most = max(1, min(MAX_PER_RUN, MAX_IN_ALL // max(len(runs), 1)))
    sets: dict[str, Any] = {}
    found = {
        "sets": sets,
        "classes": {one.header.dataset: one.header.classes for one in transfers},
        "runs": [_one(run, sets, most, transfers) for run in runs],
    }
    return script_json(found)


def script_json(value: Any) -> Markup:
    """Return a value as JSON that may stand in a script element."""
    return Markup(json.dumps(value, separators=(",", ":")).replace("<", "\\u003c"))


def _one(run: Run, sets: dict[str, Any], most: int, transfers: list[Transfer]) -> dict[str, Any]:
    table = run.table.iloc[:: -(-len(run.table) // most)]
    h = run.header
    # The same images have the same hash; how many are shown depends on their number alone.
    sets.setdefault(
        h.data_hash, {"image": table["image"].tolist(), "label": table["label"].tolist()}
    )
    fates = [
        chr(FIRST + sum(not broken for broken in row.broken)) if row.correct else WRONG
        for row in table.itertuples()
    ]
    return {
        "title": f"{h.model}, {h.spatial} / {h.channel}, seed {h.seed}: {h.protocol}",
        "data": h.dataset,
        "model": h.model,
        "set": h.data_hash,
        "of": h.n,
        "eps": run.eps,
        "values": [_value(eps, kept) for eps, kept in run.standing().items()],
        "facts": list(_facts(run, transfers).items()),
        "fate": "".join(fates),
        "said": table["prediction"][~table["correct"]].tolist(),
    }


def _value(eps: str, kept: Any) -> list[Any]:
    low, high = wilson(int(kept.sum()), len(kept))
    return [eps, *(round(100 * share, 1) for share in (float(kept.mean()), low, high))]


def _facts(run: Run, transfers: list[Transfer]) -> dict[str, str]:
    """Return what a reader needs to make the run again, in words."""
    h = run.header
    raised = flags.of_run(run, transfers)
    passes = sum(one.forward for one in h.passes.values())
    return {
        "data": f"{h.dataset}, {h.n:,} images",
        "trained on": twins.training_words(h) or "?",
        "attack": f"{h.protocol} ({h.norm}, {run.backend} backend), {passes:,} forward passes",
        "flags": "; ".join(f"{name}: {words}" for name, words in raised.items()) or "none",
        "hashes": f"weights {h.checkpoint_hash}, protocol {h.protocol_hash}, data {h.data_hash}",
        "made with": f"{h.device}; torch {h.versions.get('torch', '?')}; commit {h.commit}",
        "date": run.date,
    }
