"""Shared parts of both forms of AutoAttack: its stages by name, their options, and their cost.

`reference/autoattack.py` runs the library, `native/ensembles.py` our own attacks.

Source: Croce & Hein, arXiv 2003.01690.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from robustbench_mix.attacks.options import MAX_RESTARTS, at_least_one
from robustbench_mix.attacks.passes import Count
from robustbench_mix.errors import RbmixError, unknown

STANDARD = ["apgd-ce", "apgd-t", "fab-t", "square"]
STAGES = [*STANDARD, "apgd-dlr", "fab"]
MAX_STAGES = 100


class Options(NamedTuple):
    """The options of one of AutoAttack's stages, with the values of its `standard` version.

    Args:
        steps: Steps of APGD and FAB.
        targets: Target classes of the targeted attacks.
        queries: Queries of Square.
        eot: Number of passes over which a gradient of APGD is averaged (expectation over
            transformation).
        restarts: How often the stage runs, each time from another random start, on the images
            that stand.
        classes: Number of classes of the model.
    """

    steps: int = 100
    targets: int = 9
    queries: int = 5000
    eot: int = 1
    restarts: int = 1
    classes: int = 10

    def passes(self, name: str) -> Count:
        """Estimate the passes of an image that withstands the named stage."""
        ascent = Count((self.steps + 1) * self.eot, (self.steps + 1) * self.eot)
        once = {
            "apgd-ce": ascent,
            "apgd-dlr": ascent,
            "apgd-t": ascent.times(self.targets),
            "fab": Count(2 * self.steps, self.steps * self.classes),
            "fab-t": Count(2 * self.steps * self.targets, self.steps * self.targets),
            "square": Count(self.queries + 1),
        }[name]
        return once.times(self.restarts) if self.restarts > 1 else once


# The options that a table in `settings` may have, for one stage; on the reference engine also EOT.
SETTINGS = ("steps", "targets", "queries", "restarts")
EOT = "eot"


def stages_of(
    classes: int, components: Any, common: Options, settings: Any, allowed: Sequence[str] = SETTINGS
) -> list[tuple[str, Options]]:
    """Return the stages that run, with checked options.

    Args:
        classes: Number of classes of the model; a targeted attack has at most as many targets as
            there are other classes.
        components: The stages that the protocol names.
        common: The options of all stages.
        settings: Tables of other options for some stages, by their names; None for none.
        allowed: The options that such a table may have.

    Raises:
        RbmixError: If a name or an option is wrong.
    """
    settings = {} if settings is None else settings
    _check_settings(settings, allowed)
    found = []
    for name, named in stage_names(components, classes):
        options = common._replace(**settings.get(named, {}))
        for option in ("steps", "targets", "queries", "eot"):
            at_least_one(option, getattr(options, option))
        at_least_one("restarts", options.restarts, MAX_RESTARTS)
        targets = min(options.targets, classes - 1)
        found.append((name, options._replace(targets=targets, classes=classes)))
    return found


def _check_settings(settings: Any, allowed: Sequence[str]) -> None:
    """Raise RbmixError unless these are tables of allowed options by the names of stages."""
    if not isinstance(settings, dict):
        raise RbmixError(f"option settings = {settings!r} must be a table")
    for stage, table in settings.items():
        if stage not in STAGES:
            raise unknown("AutoAttack component", str(stage), STAGES)
        if not isinstance(table, dict):
            raise RbmixError(f"option settings.{stage} = {table!r} must be a table")
        for option in table:
            if option not in allowed:
                raise unknown(f"option of {stage}", str(option), allowed)


def stage_names(names: Any, classes: int) -> list[tuple[str, str]]:
    """Return the stages that run for this number of classes, each with the name that asked for it.

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
    found = [(run, name) for name in names for run in fallback.get(name, [name])]
    if not found:
        raise RbmixError(
            f"AutoAttack's {', '.join(names)} need at least 3 classes, the model has {classes}"
        )
    return found
