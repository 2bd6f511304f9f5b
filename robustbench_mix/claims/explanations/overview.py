"""Collect all explanations: tables over curves and probes, pure functions of the records."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from robustbench_mix.claims.explanations import attacks, drawings, local, static
from robustbench_mix.claims.explanations.table import Explanation
from robustbench_mix.results import probes
from robustbench_mix.results.probes import Probe, Transfer
from robustbench_mix.results.records import Run

__all__ = ["Explanation", "all_explanations", "explanations_of", "of_files"]


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
    linearity, transfers, *others = of_probes(probed, transferred)
    tables = [
        attacks.strength(runs),
        linearity,
        transfers,
        attacks.controls(runs),
        static.static_filters(runs),
        *others,
        attacks.capacity(runs),
    ]
    return [replace(one, drawings=[d for d in drawn if d.name == one.name]) for one in tables]


def of_probes(probed: list[Probe], transferred: list[Transfer]) -> list[Explanation]:
    """Return the explanations that need no attack of a curve, without drawings.

    Args:
        probed: The probes.
        transferred: The transfers.
    """
    return [
        local.linearity(probed),
        local.transfers(transferred),
        local.distances(probed),
        local.frequencies(probed),
        local.waves(probed),
    ]


def of_files(paths: list[Path]) -> list[Explanation]:
    """Return `of_probes` for the files of `rbmix explain`."""
    transfers = [path for path in paths if path.name.startswith("transfer-")]
    return of_probes(
        [probes.read_probe(path) for path in paths if path not in transfers],
        [probes.read_transfer(path) for path in transfers],
    )


def explanations_of(results: Path, runs: list[Run]) -> list[Explanation]:
    """Return every explanation, from these runs and the probes in the results folder."""
    return all_explanations(runs, probes.read_probes(results), probes.read_transfers(results))
