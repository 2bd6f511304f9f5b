"""Shared parts of both engines' estimates of the remaining passes.

An estimate simulates the rest of the run in expectation. Images move from stage to stage; each
stage breaks the share that it has broken so far, and the other images cost as much as images that
withstand it. Estimates depend on the state alone, so a resumed run gives the same ones.
"""

from __future__ import annotations

from itertools import accumulate
from typing import NamedTuple

from robustbench_mix.attacks.passes import Count
from robustbench_mix.evaluation.state import State

WEIGHT = 4.0  # weight of a prior guess, in images
PLACED = 0.75  # assumed share of images that stand at the smallest epsilon, before any attack
UNKNOWN = 100.0  # assumed passes of either kind if an attack has no estimate


class StagePasses(NamedTuple):
    """A stage by its name, and the passes of an image that withstands it; None if unknown."""

    name: str
    passes: Count | None


def cost(stage: StagePasses) -> float:
    """Return the work of an image that withstands the stage, in forward passes."""
    return (stage.passes or Count(UNKNOWN, UNKNOWN)).work


def is_known(state: State, stage: StagePasses) -> bool:
    """Return whether the passes of a stage are known, or some were counted."""
    return stage.passes is not None or stage.name in state.passes


def work_done(state: State) -> float:
    """Return the work that a run has done, in forward passes."""
    return sum(Count(**each).work for each in state.passes.values())


def work_of(counts: dict[str, Count]) -> float:
    """Return the total cost of these passes, in forward passes."""
    return sum(count.work for count in counts.values())


def at_least(counts: list[int]) -> list[int]:
    """Turn counts at each position into counts at that position or beyond."""
    return list(accumulate(reversed(counts)))[::-1]
