"""List the planned evaluations of a sweep, for its analysis plan, and what came of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from robustbench_mix.evaluation.plan import EvaluationPlan
from robustbench_mix.results import analysis_plan, by_network, gallery, records, unshuffling
from robustbench_mix.results.analysis_plan import PlannedSet
from robustbench_mix.sweeps.cell_plans import SweepPlan

Key = tuple[str, str, str, int | None, int | None, int | None, str]


def planned_sets(sweep: SweepPlan) -> list[PlannedSet]:
    """Return the evaluations of a sweep in sets that differ only in mixers and seeds."""
    found: dict[Key, list[EvaluationPlan]] = {}
    for cell in sweep.cells:
        for plan in cell.attacks:
            found.setdefault(_key(plan), []).append(plan)
    return [_set(key, plans) for key, plans in found.items()]


def outcome(sweep: SweepPlan, results: Path) -> dict[str, Any]:
    """Return what the records under `results` say of the networks of a sweep, as JSON values.

    Args:
        sweep: The sweep.
        results: The results folder.

    Returns:
        `networks`, as `by_network.rows`, and `unshufflings`, as `gallery.rows_of`.
    """
    runs, decoded = [], []
    if sets := planned_sets(sweep):
        plan = analysis_plan.make("", sets, {})
        runs = plan.runs(records.read_all(results))
    wanted = {
        (plan.data.name, one.name, one.spatial, one.seed)
        for plan in sweep.unshufflings
        for one in plan.unshufflers
    }
    if wanted:
        decoded = [
            one
            for one in unshuffling.read_all(results)
            if (one.header.dataset, one.header.model, one.header.spatial, one.header.seed) in wanted
        ]
    return {"networks": by_network.rows(runs), "unshufflings": gallery.rows_of(decoded)}


def _key(plan: EvaluationPlan) -> Key:
    training, protocol = plan.model.training, plan.attack.protocol
    return (
        plan.data.name, plan.model.spec.name, protocol.name, training.examples, training.epochs,
        plan.data.examples, protocol.hash,
    )  # fmt: skip


def _set(key: Key, plans: list[EvaluationPlan]) -> PlannedSet:
    dataset, model, attack, train_examples, epochs, examples, protocol_hash = key
    specs = [plan.model.spec for plan in plans]
    return PlannedSet(
        dataset=dataset,
        model=model,
        attack=attack,
        train_examples=train_examples,
        epochs=epochs,
        examples=examples,
        mixers=sorted({f"{spec.spatial}/{spec.channel}" for spec in specs}),
        seeds=sorted({spec.seed for spec in specs}),
        protocol_hash=protocol_hash,
    )
