"""Analysis plans: written before the records, with a count of the looks at the claims.

`rbmix sweep NAME --plan` writes a plan into a results folder; `rbmix claims` reads it. A changed
plan becomes another file, so that the first one stays visible.
"""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from robustbench_mix.config.canonical import short_hash
from robustbench_mix.results.records import Run
from robustbench_mix.runtime import provenance
from robustbench_mix.storage import reading, validation
from robustbench_mix.storage.files import write_if_changed
from robustbench_mix.storage.locks import exclusive_lock

FOLDER = "plans"  # folder of the plans, in a results folder
ANY = None  # the recipe's own number of images or epochs


class PlannedSet(msgspec.Struct, frozen=True):
    """Networks that differ in their mixers and seeds alone, under one attack.

    Attributes:
        dataset, model, attack: Names as in records.
        train_examples, epochs: Size and length of the training; None is the recipe's.
        examples: Number of test images; None is the default.
        mixers: Spatial and channel mixers, as `frozen/learned`.
        seeds: The seeds of every network.
        protocol_hash: Hash of the attack with its epsilon grid.
    """

    dataset: str
    model: str
    attack: str
    train_examples: int | None
    epochs: int | None
    examples: int | None
    mixers: list[str]
    seeds: list[int]
    protocol_hash: str


class AnalysisPlan(msgspec.Struct, frozen=True):
    """The plan for the analysis of a sweep.

    Attributes:
        sweep: The name of the sweep.
        sets: The networks that are trained and attacked.
        margins: The smallest difference that matters, by the number of the claim.
        hash: Hash of all of the above.
        date: The day it was written, as 2026-01-31.
        looks: For each look at the claims, the number of runs complete by then.
    """

    sweep: str
    sets: list[PlannedSet]
    margins: dict[str, float]
    hash: str
    date: str
    looks: list[int] = []

    def runs(self, runs: list[Run]) -> list[Run]:
        """Return those of `runs` that belong to the plan."""
        return [run for run in runs if any(_covers(one, run) for one in self.sets)]

    @property
    def size(self) -> int:
        """The number of runs that it plans."""
        return sum(len(one.mixers) * len(one.seeds) for one in self.sets)


def state(plan: AnalysisPlan, runs: list[Run]) -> str:
    """Describe a plan: when it was written, whether before its records, and its progress."""
    done = plan.runs(runs)
    first = min((run.date for run in done if run.date), default="")
    if not first:
        when = "before any of its records"
    elif plan.date <= first:
        when = f"before its first record ({first})"
    else:
        when = f"after its first record ({first})"
    looks = len(plan.looks)
    counts = f"{len(done)} of {plan.size} runs; {looks} look" + ("" if looks == 1 else "s")
    return f"{plan.sweep} ({plan.hash}): written {plan.date}, {when}; {counts}"


def make(sweep: str, sets: list[PlannedSet], margins: dict[str, float]) -> AnalysisPlan:
    """Make a plan with today's date.

    Args:
        sweep: The name of the sweep.
        sets: The networks that are trained and attacked.
        margins: The smallest difference that matters, by the number of the claim.
    """
    content = {"sweep": sweep, "sets": msgspec.to_builtins(sets), "margins": margins}
    return AnalysisPlan(sweep, sets, margins, short_hash(content), provenance.today())


def write(results: Path, plan: AnalysisPlan) -> list[Path]:
    """Write a plan under `results` unless it exists; return the file if it was written."""
    path = _path(results, plan)
    with exclusive_lock(path):
        return [] if path.is_file() else _save(path, plan)


def read_all(results: Path) -> list[AnalysisPlan]:
    """Read the plans under `results`, by name.

    Raises:
        RbmixError: For a file that is not a plan.
    """
    found = []
    for path in sorted((results / FOLDER).glob("*.json")):
        refusal = f"analysis plan {path} is damaged"
        raw = reading.read_bytes(path, "analysis plan", reading.MAX_COMPANION_BYTES)
        found.append(validation.decode(reading.parse_json(raw, refusal), AnalysisPlan, refusal))
    return found


def look(results: Path, runs: list[Run]) -> list[Path]:
    """Record a look at the claims in each plan whose number of runs has changed since the last.

    Args:
        results: The results folder.
        runs: All runs in it.

    Returns:
        The files that changed.
    """
    changed = []
    for plan in read_all(results):
        path = _path(results, plan)
        count = len(plan.runs(runs))
        if count and plan.looks[-1:] != [count]:
            with exclusive_lock(path):
                changed += _save(path, msgspec.structs.replace(plan, looks=[*plan.looks, count]))
    return changed


def planned_seeds(
    plans: list[AnalysisPlan], dataset: str, model: str, trained_on: str, attack: str = ""
) -> int | None:
    """Return how many seeds are planned for a model, None if none are.

    Args:
        plans: The plans; the largest number of seeds counts.
        dataset, model: Names as in records.
        trained_on: Images x epochs, as `twins.trained_on` writes it.
        attack: The name of a protocol; '' for any.
    """
    counts = [
        len(one.seeds)
        for plan in plans
        for one in plan.sets
        if (one.dataset, one.model) == (dataset, model)
        and attack in ("", one.attack)
        and _trained_on(one) in (trained_on, "")
    ]
    return max(counts, default=None)


def _covers(one: PlannedSet, run: Run) -> bool:
    h = run.header
    return (
        (one.dataset, one.model, one.attack) == (h.dataset, h.model, h.protocol)
        and one.train_examples in (ANY, h.train_examples)
        and one.epochs in (ANY, h.epochs)
        and one.examples in (ANY, h.n)
        and f"{h.spatial}/{h.channel}" in one.mixers
        and h.seed in one.seeds
    )


def _trained_on(one: PlannedSet) -> str:
    if one.train_examples is ANY or one.epochs is ANY:
        return ""
    return f"{one.train_examples:,} x {one.epochs}"


def _path(results: Path, plan: AnalysisPlan) -> Path:
    return results / FOLDER / f"{plan.sweep}-{plan.hash}.json"


def _save(path: Path, plan: AnalysisPlan) -> list[Path]:
    text = json.dumps(msgspec.to_builtins(plan), indent=2)
    return write_if_changed({path: text + "\n"})
