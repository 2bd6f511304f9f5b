"""Absolute thresholds of the regression gate, as `--fail-under 0.40@4/255`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from robustbench_mix.config.epsilon import Eps, parse_eps
from robustbench_mix.errors import RbmixError
from robustbench_mix.results.records import Run
from robustbench_mix.results.regression.baselines import Baseline
from robustbench_mix.results.regression.comparison import Check


@dataclass(frozen=True)
class Threshold:
    """The least accuracy, a share, within an epsilon; `text` is how the user wrote it."""

    text: str
    accuracy: Fraction
    eps: Fraction


def parse(text: str) -> Threshold:
    """Read a threshold, `ACCURACY@EPSILON`.

    Args:
        text: The accuracy as a share, from 0 to 1, and the epsilon; 0 is that of clean images.

    Raises:
        RbmixError: It is anything else.
    """
    share, at, eps = text.partition("@")
    is_share = re.fullmatch(r"\d{0,3}(\.\d{1,9})?", share) and share not in ("", ".")
    if not (is_share and at and Fraction(share) <= 1):
        raise RbmixError(
            f"threshold {text!r} is not ACCURACY@EPSILON with an accuracy from 0 to 1, "
            "as in 0.40@4/255"
        )
    radius = Fraction(0) if eps == "0" else parse_eps(eps, "l2").exact
    return Threshold(text, Fraction(share), radius)


def check_grid(thresholds: list[Threshold], baseline: Baseline, path: Path) -> None:
    """Raise RbmixError unless the epsilon of each threshold is one of the baseline at `path`."""
    for one in thresholds:
        _eps_of(one, ["0", *baseline.eps], path)


def checks(thresholds: list[Threshold], run: Run, path: Path) -> list[Check]:
    """Compare the accuracies of a run with thresholds.

    Args:
        thresholds: The thresholds, at epsilons of the run.
        run: The run.
        path: The path of its baseline, for messages.
    """
    standing = run.standing()
    found = []
    for one in thresholds:
        eps = _eps_of(one, list(standing), path)
        count, n = int(standing[eps].sum()), len(standing)
        is_below = Fraction(count, n) < one.accuracy
        where = (
            "of the clean images are classified correctly"
            if eps == "0"
            else (f"of the images withstand the attack at eps {eps}")
        )
        words = f"{count} of {n} ({count / n:.1%}) {where}, below {float(one.accuracy):.1%}"
        name = f"at least {one.text}"
        worse = words if is_below else ""
        found.append(Check(name, now=f"{count}/{n}", worse=worse, is_threshold=True))
    return found


def _eps_of(one: Threshold, grid: list[str], path: Path) -> str:
    """Return the epsilon of a threshold as the grid writes it."""
    for eps in grid:
        if one.eps == (0 if eps == "0" else Eps(eps).exact):
            return eps
    raise RbmixError(
        f"threshold {one.text!r}: {path} has no such epsilon (allowed: {', '.join(grid)})"
    )
