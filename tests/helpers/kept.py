"""The baseline of a run by hand."""

from __future__ import annotations

from dataclasses import replace

from msgspec import structs

from robustbench_mix.results.regression import baselines
from robustbench_mix.results.regression.baselines import Baseline

SPEC = {"algorithm": "pgd", "options": {"steps": 40, "restarts": 5}}
HEADER = {"protocol_spec": SPEC, "backend": "fast", "diagnostics": None}


def kept_of(run, around=None, weights: str = "") -> Baseline:
    """The baseline of a run; without `around` no verdict is a close one."""
    if around is None:
        table = run.table.copy()
        for name in ("broken", "component", "norm", "inferred"):
            table[name] = [[v for v in values for _ in range(2)] for values in table[name]]
        grid = baselines.nearby_grid(run.eps, "linf")
        around = replace(run, header=structs.replace(run.header, eps=grid), table=table)
    return baselines.of_run(run, around, dataset="digits", attack="pgd", weights=weights)
