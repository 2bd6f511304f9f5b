"""Collect all explanations: tables over curves and probes, pure functions of the records."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from robustbench_mix.claims.explanations import attacks, drawings, local, static
from robustbench_mix.claims.explanations.table import Explanation
from robustbench_mix.results import probes
from robustbench_mix.results.probes import Probe, Transfer
from robustbench_mix.results.records import Run

__all__ = ["Explanation", "all_explanations", "explanations_of"]


def all_explanations(
    runs: list[Run], probed: list[Probe], transferred: list[Transfer]
) -> list[Explanation]:
    """Return every explanation, in the order of the argument.

    Args:
        runs: All runs.
        probed: All probes.
        transferred: All transfers.
    """
    drawn = drawings.all_drawings(probed)
    tables = [
        attacks.strength(runs),
        local.linearity(probed),
        local.transfers(transferred),
        attacks.controls(runs),
        static.static_filters(runs),
        local.distances(probed),
        local.frequencies(probed),
        local.waves(probed),
        attacks.capacity(runs),
    ]
    return [replace(one, drawings=[d for d in drawn if d.name == one.name]) for one in tables]


def explanations_of(results: Path, runs: list[Run]) -> list[Explanation]:
    """Return every explanation, from these runs and the probes in the results folder."""
    return all_explanations(runs, probes.read_probes(results), probes.read_transfers(results))
