"""The norms of perturbations, and how other libraries write them."""

from __future__ import annotations

import math

NORMS = ("linf", "l2")
# RobustBench and AutoAttack.
ROBUSTBENCH = {"linf": "Linf", "l2": "L2"}
FROM_ROBUSTBENCH = {theirs: ours for ours, theirs in ROBUSTBENCH.items()}
# foolbox: by the order of the norm.
FROM_ORDER = {math.inf: "linf", 2: "l2"}
