"""Why there is a gap, or none: tables over curves and probes, pure functions of the records."""

from __future__ import annotations

from pathlib import Path

from robustbench_mix import probes, records
from robustbench_mix.explanations import attacks, local
from robustbench_mix.explanations.table import Explanation
from robustbench_mix.probes import Probe
from robustbench_mix.records import Run

__all__ = ["Explanation", "every", "of"]


def every(runs: list[Run], probed: list[Probe], transferred: list[Probe]) -> list[Explanation]:
    """All of them, in the order of the argument."""
    return [
        attacks.strength(runs),
        local.linearity(probed),
        local.transfers(transferred),
        attacks.controls(runs),
        local.distances(probed),
        local.frequencies(probed),
        local.waves(probed),
        attacks.capacity(runs),
    ]


def of(results: Path) -> list[Explanation]:
    """All of them, from the records under `results`."""
    probed, transferred = (probes.read_all(results, kind) for kind in ("probe", "transfer"))
    return every(records.read_all(results), probed, transferred)
