"""The norms of perturbations, and how other libraries write them."""

from __future__ import annotations

import math
import re
from typing import SupportsFloat

from robustbench_mix.config.words import Norm
from robustbench_mix.errors import unknown

NORMS = ("linf", "l2", "l1")
# RobustBench and AutoAttack.
ROBUSTBENCH = {"linf": "Linf", "l2": "L2", "l1": "L1"}
FROM_ROBUSTBENCH = {theirs: ours for ours, theirs in ROBUSTBENCH.items()}
SPELLINGS = r"(?:l[-_ ]?)?(inf|infinity|∞|2|1)"  # in lower case
ORDERS = {"infinity": "inf", "∞": "inf"}
# foolbox: by the order of the norm.
FROM_ORDER = {math.inf: "linf", 2: "l2", 1: "l1"}


def parse(norm: Norm) -> str:
    """Return a norm as rbmix spells it, whatever its customary spelling: `Linf`, `l_2`, 2, `inf`.

    Args:
        norm: A word, or the order of the norm as a number.

    Raises:
        RbmixError: It is not one of `NORMS`.
    """
    if isinstance(norm, str):
        match = re.fullmatch(SPELLINGS, norm.strip().lower())
        found = match and f"l{ORDERS.get(match[1], match[1])}"
    else:
        is_number = isinstance(norm, SupportsFloat) and not isinstance(norm, bool)
        found = FROM_ORDER.get(float(norm)) if is_number else None
    if found is None:
        raise unknown("norm", str(norm), NORMS)
    return found
