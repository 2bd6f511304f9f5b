"""Estimate how many passes of the fast engine remain."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from robustbench_mix.attacks.passes import Count
from robustbench_mix.evaluation.remaining_passes import (
    PLACED,
    UNKNOWN,
    WEIGHT,
    StagePasses,
    at_least,
)
from robustbench_mix.evaluation.state import State

PRIOR = 0.05  # assumed share of images that a stage breaks, before any was attacked
BROKEN = 0.15  # passes of an image that falls, as a share of those of one that stands


class FastWork(NamedTuple):
    """The work of the fast engine: place each image on the grid, then run the stages.

    Args:
        placing: Passes that placing takes.
        stages: Passes that each stage takes.
        levels: Number of epsilons.
        heights: For each image, how many of the stages it meets if none breaks it.
        one_in: One image in so many meets the stages a second time.
    """

    placing: StagePasses
    stages: Sequence[StagePasses]
    levels: int
    heights: Sequence[int]
    one_in: int


def fast_passes_left(state: State, work: FastWork) -> dict[str, Count]:
    """Estimate the remaining passes of each stage of the fast engine, and of placing.

    For example, `fast_passes_left(...)["square"].forward` is the number of remaining queries.

    Args:
        state: The state of the run.
        work: The work of the engine.

    Returns:
        The passes by the stage's name.
    """
    shares = _shares(state, [stage.name for stage in work.stages])
    half = max(len(work.stages) // 2, 1)
    visits = [0.0] * len(work.stages)
    unplaced = 0
    for height in set(work.heights):
        arrivals = [[0.0] * (height + 1) for _ in range(work.levels + 1)]
        again = [0.0] * (height + 1)  # images that meet the stages again, by where they begin
        for row, own in enumerate(work.heights):
            if own != height or not state.correct[row]:
                continue
            stage, level = state.stage[row], state.level[row]
            is_open = state.failed[row] < level - 1 and stage < height
            if stage < 0:
                unplaced += 1
                arrivals[1][0] += PLACED
            elif is_open:
                arrivals[level][stage] += 1
            if 0 <= state.check[row] < level and not state.checked[row]:
                again[min(state.check_stage[row], height)] += 1
            elif is_open and state.check[row] < 0 and level > 1 and stage < half:
                again[0] += 1 / work.one_in
        _descend(arrivals, shares, visits, height)
        for number, count in zip(range(height), accumulate(again), strict=False):
            visits[number] += count
    left = {work.placing.name: (work.placing.passes or Count()).times(unplaced * PLACED)}
    for one, count in zip(work.stages, visits, strict=True):
        left[one.name] = (one.passes or Count(UNKNOWN, UNKNOWN)).times(count)
    return left


def _shares(state: State, names: list[str]) -> list[float]:
    """Return the share of images that each stage has broken so far.

    Each image counts by its last position: it withstood the stages that it passed at this level,
    and those before the stage that broke it last.
    """
    place = {name: number for number, name in enumerate(names)}
    broken, behind = [0] * len(names), [0] * (len(names) + 1)
    for row, correct in enumerate(state.correct):
        if not correct:
            continue
        by = place.get(state.component[row])
        is_done = 0 <= state.failed[row] == state.level[row] - 1
        behind[len(names) if is_done else max(state.stage[row], by or 0)] += 1
        if by is not None:
            broken[by] += 1
    return [
        (fell + PRIOR * WEIGHT) / (fell + stood + WEIGHT)
        for fell, stood in zip(broken, at_least(behind)[1:], strict=True)
    ]


def _descend(
    arrivals: list[list[float]], shares: list[float], visits: list[float], height: int
) -> None:
    """Move images through the stages, from the top level down; count the `visits` of each stage.

    `arrivals` (levels + 1, stages + 1) counts images by the epsilon that broke them and their
    stage. An image that a stage breaks begins again one level below, if there is one.
    """
    for level in range(len(arrivals) - 1, 0, -1):
        flow = 0.0
        for stage in range(height):
            flow += arrivals[level][stage]
            falls = flow * shares[stage]
            visits[stage] += flow - falls + BROKEN * falls
            arrivals[level - 1][0] += falls
            flow -= falls
