"""Shared parts of both forms of AutoAttack: its stages by name, their options, and their cost.

`reference/autoattack.py` runs the library, `native/ensembles.py` our own attacks.

Source: Croce & Hein, arXiv 2003.01690.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from robustbench_mix.attacks.options import at_least_one
from robustbench_mix.attacks.passes import Count
from robustbench_mix.errors import RbmixError, unknown

STANDARD = ["apgd-ce", "apgd-t", "fab-t", "square"]
STAGES = [*STANDARD, "apgd-dlr"]
MAX_STAGES = 100


class Options(NamedTuple):
    """The options of AutoAttack's stages, with the values of its `standard` version.

    Args:
        steps: Steps of APGD and FAB.
        targets: Target classes of the targeted attacks.
        queries: Queries of Square.
        eot: Number of passes over which a gradient of APGD is averaged (expectation over
            transformation).
    """

    steps: int = 100
    targets: int = 9
    queries: int = 5000
    eot: int = 1

    def passes(self, name: str) -> Count:
        """Estimate the passes of an image that withstands the named stage."""
        ascent = Count((self.steps + 1) * self.eot, (self.steps + 1) * self.eot)
        return {
            "apgd-ce": ascent,
            "apgd-dlr": ascent,
            "apgd-t": ascent.times(self.targets),
            "fab-t": Count(2 * self.steps * self.targets, self.steps * self.targets),
            "square": Count(self.queries + 1),
        }[name]


def options_for(classes: int, steps: Any, targets: Any, queries: Any, eot: Any = 1) -> Options:
    """Return checked options, with at most as many targets as there are other classes.

    Args:
        classes: Number of classes of the model.
        steps: Steps of APGD and FAB.
        targets: Target classes of the targeted attacks.
        queries: Queries of Square.
        eot: Number of passes over which a gradient of APGD is averaged.

    Raises:
        RbmixError: If an option is out of range.
    """
    at_least_one("steps", steps)
    at_least_one("queries", queries)
    at_least_one("eot", eot)
    return Options(steps, min(at_least_one("targets", targets), classes - 1), queries, eot)


def stage_names(names: Any, classes: int) -> list[str]:
    """Return the stages that run for this number of classes.

    The targeted DLR loss needs four classes and the DLR loss three: with three, `apgd-t` becomes
    `apgd-dlr`; with two it is left out.

    Args:
        names: The stages that the protocol names, as its option `components`.
        classes: Number of classes of the model.

    Raises:
        RbmixError: If the names or the number of classes are wrong.
    """
    if classes < 2:
        raise RbmixError(f"AutoAttack needs a model with at least 2 classes, not {classes}")
    if not isinstance(names, list) or not names:
        raise RbmixError(f"option components = {names!r} must be a list of names")
    if len(names) > MAX_STAGES:
        raise RbmixError(f"option components has {len(names)} names (allowed: up to {MAX_STAGES})")
    for name in names:
        if name not in STAGES:
            raise unknown("AutoAttack component", str(name), STAGES)
    fallback: dict[str, list[str]] = {}
    if classes < 4:
        fallback["apgd-t"] = ["apgd-dlr"] if classes == 3 else []
    if classes < 3:
        fallback["apgd-dlr"] = []
    return [run for name in names for run in fallback.get(name, [name])]
