"""The norms of perturbations, and how other libraries write them."""

from __future__ import annotations

import math

from robustbench_mix.errors import unknown

NORMS = ("linf", "l2", "l1")
# RobustBench and AutoAttack.
ROBUSTBENCH = {"linf": "Linf", "l2": "L2", "l1": "L1"}
FROM_ROBUSTBENCH = {theirs: ours for ours, theirs in ROBUSTBENCH.items()}
# foolbox: by the order of the norm.
FROM_ORDER = {math.inf: "linf", 2: "l2", 1: "l1"}


def parse(norm: str) -> str:
    """Return a norm as rbmix spells it, whatever its customary spelling: `Linf`, `L2`, `l_inf`.

    Raises:
        RbmixError: It is not one of `NORMS`.
    """
    spelled = str(norm).lower().replace("_", "").replace("-", "")
    spelled = {"inf": "linf", "l∞": "linf", "2": "l2", "1": "l1"}.get(spelled, spelled)
    if spelled not in NORMS:
        raise unknown("norm", str(norm), NORMS)
    return spelled
