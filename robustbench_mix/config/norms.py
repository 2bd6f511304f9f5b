"""The norms of perturbations, and how other libraries write them."""

from __future__ import annotations

import math
from typing import SupportsFloat

from robustbench_mix.config.words import Norm
from robustbench_mix.errors import unknown

NORMS = ("linf", "l2", "l1")
# RobustBench and AutoAttack.
ROBUSTBENCH = {"linf": "Linf", "l2": "L2", "l1": "L1"}
FROM_ROBUSTBENCH = {theirs: ours for ours, theirs in ROBUSTBENCH.items()}
# foolbox: by the order of the norm.
FROM_ORDER = {math.inf: "linf", 2: "l2", 1: "l1"}


def parse(norm: Norm) -> str:
    """Return a norm as rbmix spells it, whatever its customary spelling: `Linf`, `l_2`, 2, `inf`.

    Args:
        norm: A word, or the order of the norm as a number.

    Raises:
        RbmixError: It is not one of `NORMS`.
    """
    if not isinstance(norm, str) and isinstance(norm, SupportsFloat):
        norm = FROM_ORDER.get(float(norm), f"{float(norm):g}")
    spelled = "".join(c for c in str(norm).lower() if c not in "_- ")
    order = spelled.removeprefix("l").replace("infinity", "inf").replace("∞", "inf")
    if f"l{order}" not in NORMS:
        raise unknown("norm", str(norm), NORMS)
    return f"l{order}"
