"""Test all claims of the paper on the records."""

from __future__ import annotations

from dataclasses import replace

from robustbench_mix.claims import accuracy, dose, frozen_or_random, robustness, unshuffling
from robustbench_mix.claims.attacks import NAMES
from robustbench_mix.claims.claim import Claim
from robustbench_mix.claims.pairs import names_depth_multiplier
from robustbench_mix.results.analysis_plan import AnalysisPlan, planned_seeds
from robustbench_mix.results.records import Run
from robustbench_mix.results.unshuffling import Decoding

__all__ = ["Claim", "all_claims"]


def all_claims(
    runs: list[Run], found: list[Decoding], plans: list[AnalysisPlan] | None = None
) -> list[Claim]:
    """Return all claims in the order of the paper, each on every data set that has its records.

    This is a pure function of the records. ResNets that name a depth multiplier belong to claim 6
    alone.

    Args:
        runs: All runs.
        found: All un-shufflings.
        plans: Analysis plans. A verdict on fewer seeds than planned is called interim.
    """
    named: dict[str, tuple[list[Run], list[Decoding]]] = {}
    for run in runs:
        named.setdefault(run.header.dataset, ([], []))[0].append(run)
    for one in found:
        named.setdefault(one.header.dataset, ([], []))[1].append(one)
    by_data = [
        [_with_plan(replace(claim, data=name), plans or []) for claim in _claims(*named[name])]
        for name in sorted(named)
    ] or [_claims([], [])]
    tested = []
    for versions in zip(*by_data, strict=True):
        # One seed decides nothing: it has a row only if no data set has more.
        met = [claim for claim in versions if any(f.difference.seeds > 1 for f in claim.findings)]
        met = met or [claim for claim in versions if claim.findings][:1]
        tested += met or [replace(versions[0], data="")]
    return tested


def margins() -> dict[str, float]:
    """Return the smallest difference that matters, by the number of the claim."""
    return {claim.number: claim.margin for claim in _claims([], [])}


def _with_plan(claim: Claim, plans: list[AnalysisPlan]) -> Claim:
    """Say how many of the planned seeds are there, and what an open verdict with all would need."""
    missing, complete = {}, {}
    for finding in claim.findings:
        where, seeds = finding.where, finding.difference.seeds
        planned = planned_seeds(
            plans, claim.data, where["model"], where["trained on"], where.get("attack", "")
        )
        if planned is None:
            continue
        if seeds < planned:
            missing[f"{where['model']}, {where['trained on']}"] = f"{seeds} of {planned}"
        elif finding.is_main and finding.need:
            complete[where["model"]] = f"{planned} planned seeds; needed: {finding.need}"
    if missing:
        parts = "; ".join(f"{counts} planned seeds of {name}" for name, counts in missing.items())
        return replace(claim, reason=f"{claim.reason} (interim: {parts})")
    if complete:
        parts = "; ".join(f"{name} has all {words}" for name, words in complete.items())
        return replace(claim, reason=f"{claim.reason} ({parts})")
    return claim


def _claims(runs: list[Run], found: list[Decoding]) -> list[Claim]:
    every_dose = runs
    runs = [run for run in runs if not names_depth_multiplier(run.header.model)]
    return [
        accuracy.almost_as_well(runs),
        accuracy.not_so_channels(runs),
        accuracy.static_structure(runs),
        *(robustness.more_robust(runs, attack) for attack in NAMES),
        frozen_or_random.freezing_gains(runs),
        frozen_or_random.randomness_gains(runs),
        robustness.smoothing_gains(runs),
        robustness.smoothing_is_free(runs),
        unshuffling.nearly_as_well(found),
        dose.gap_closes(every_dose),
    ]
