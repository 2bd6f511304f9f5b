"""Estimate how many passes an attack still has before it, from how far it has come.

What both engines' estimates share. Each runs what is left in expectation: images move from stage
to stage, the share that each stage is seen to break leaves them, the rest costs what the stage
costs an image that stands. They are functions of the state alone, so that a run that goes on
knows as much as one that was never stopped.
"""

from __future__ import annotations

from itertools import accumulate
from typing import NamedTuple

from robustbench_mix.attacks.passes import Count
from robustbench_mix.evaluation.state import State

WEIGHT = 4.0  # how many images count for what is guessed before anything is seen
PLACED = 0.75  # the share of images that stand at the smallest epsilon, before any is attacked
UNKNOWN = 100.0  # passes of either kind of an attack that nobody knows them of


class StagePasses(NamedTuple):
    """A stage by its name, and the passes of an image that withstands it; None if unknown."""

    name: str
    passes: Count | None


def cost(stage: StagePasses) -> float:
    """Return the work of an image that withstands the stage, in forward passes."""
    return (stage.passes or Count(UNKNOWN, UNKNOWN)).work


def is_known(state: State, stage: StagePasses) -> bool:
    """Whether the passes of a stage are known, or some were counted."""
    return stage.passes is not None or stage.name in state.passes


def work_done(state: State) -> float:
    """Return the work that a run has done, in forward passes."""
    return sum(Count(**each).work for each in state.passes.values())


def work_of(counts: dict[str, Count]) -> float:
    """Return what all of these cost together, in forward passes."""
    return sum(count.work for count in counts.values())


def at_least(counts: list[int]) -> list[int]:
    """Return how many are at each place or beyond it, from how many are there."""
    return list(accumulate(reversed(counts)))[::-1]
