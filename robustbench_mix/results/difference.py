"""The difference of two curves over the same images, and the runs that a run is compared with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robustbench_mix.config.epsilon import Eps
from robustbench_mix.results import records, twins
from robustbench_mix.results.headers import EXTERNAL
from robustbench_mix.results.intervals import format_signed, paired_difference
from robustbench_mix.results.records import Run


@dataclass(frozen=True)
class Difference:
    """The accuracy of a network minus that of its learned twin at one epsilon, as shares.

    Attributes:
        spatial: The spatial mixers of the network.
        eps: The epsilon as exact text, '0' for clean images.
        point: The difference.
        low: The lower end of its paired 95 % interval.
        high: The upper end.
    """

    spatial: str
    eps: str
    point: float
    low: float
    high: float

    def in_points(self) -> str:
        """Return the difference and its interval in percentage points, as `+1.0 [-0.9, +2.9]`."""
        return format_signed(self.point, self.low, self.high)


def common_outcomes(first: Run, second: Run) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield each epsilon that two runs share, 0 included, and whether images stand in each.

    Outcomes are (n,) bool. Epsilons are compared by their exact values; the text is that of
    `second`.
    """
    kept = {Eps(eps).exact: column for eps, column in first.standing().items()}
    for eps, column in second.standing().items():
        if (radius := Eps(eps).exact) in kept:
            yield eps, kept[radius].to_numpy(), column.to_numpy()


def between(learned: Run, other: Run) -> list[Difference]:
    """Return `other` minus `learned`, both over the same images, for 0 and each epsilon."""
    return [
        Difference(other.header.spatial, eps, *paired_difference(first, second))
        for eps, first, second in common_outcomes(learned, other)
    ]


def to_twins(run: Run, results: Path) -> list[Difference]:
    """Return the differences between a run and its twins under a results folder.

    For a learned network these are all networks that are the same but for the spatial mixers; for
    another it is the learned one.

    Args:
        run: The run; `external` ones have no twins.
        results: The results folder.

    Raises:
        RbmixError: The records of a twin are damaged.
    """
    h = run.header
    if h.spatial == EXTERNAL:
        return []
    near = [records.read(path) for path in records.paths_like(results, h)]
    if h.spatial != twins.LEARNED:
        learned = twins.twin_of(run, near)
        return [] if learned is None else between(learned, run)
    others = [one for one in near if twins.twin_of(one, [run]) is run]
    return [found for other in others for found in between(run, other)]
