"""How many passes an attack still has before it, estimated from how far it has come.

Both estimates run what is left in expectation: images move from stage to stage, the share that
each stage is seen to break leaves them, the rest costs what the stage costs an image that stands.
They are functions of the state alone, so that a run that goes on knows as much as one that was
never stopped.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from robustbench_mix.attacks.passes import Count
from robustbench_mix.evaluation.state import State

PRIOR = 0.05  # the share of images that a stage breaks, before anything is seen of it
WEIGHT = 4.0  # how many images that counts for
CURVE = 20.0  # how many images count for what is guessed of the next epsilon
BROKEN = 0.15  # of the passes of an image that stands, what one costs that falls
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


class FastWork(NamedTuple):
    """What the fast engine does: place each image on the grid, then run the stages.

    Args:
        placing: Passes of placing.
        stages: Passes of each stage.
        levels: Number of epsilons.
        heights: For each image, how many of the stages it meets if it stands.
        one_in: One image in so many meets them a second time.
    """

    placing: StagePasses
    stages: Sequence[StagePasses]
    levels: int
    heights: Sequence[int]
    one_in: int


def fast_passes_left(state: State, work: FastWork) -> dict[str, Count]:
    """Estimate the passes that each stage of the fast engine, and placing, still has to come.

    `fast_passes_left(...)["square"].forward` is, for example, how many queries are still to come.

    Args:
        state: How far the run is.
        work: What the engine does.

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
    """The share of images that each stage breaks, as seen so far.

    Each image counts where it was last: it withstood the stages behind it at this level, and
    those before the stage that broke it last.
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
        for fell, stood in zip(broken, _at_least(behind)[1:], strict=True)
    ]


def _at_least(counts: list[int]) -> list[int]:
    """How many are at each place or beyond it, from how many are there."""
    return list(accumulate(reversed(counts)))[::-1]


def _descend(
    arrivals: list[list[float]], shares: list[float], visits: list[float], height: int
) -> None:
    """Move images through the stages, at each level from the top; count the `visits` of each.

    `arrivals` (levels + 1, stages + 1) are images by the epsilon that broke them and their stage.
    What a stage breaks begins anew one level below, and nothing is below the lowest.
    """
    for level in range(len(arrivals) - 1, 0, -1):
        flow = 0.0
        for stage in range(height):
            flow += arrivals[level][stage]
            falls = flow * shares[stage]
            visits[stage] += flow - falls + BROKEN * falls
            arrivals[level - 1][0] += falls
            flow -= falls


class ReferenceWork(NamedTuple):
    """What the reference engine does: each `(level, stage)` in turn, on all that stand.

    Args:
        plan: Positions in the grid, and passes of the stage that runs there.
        grid: The epsilons.
        exhaustive: Whether what is broken is attacked all the same.
    """

    plan: Sequence[tuple[int, StagePasses]]
    grid: Sequence[float]
    exhaustive: bool


def reference_work_left(state: State, work: ReferenceWork) -> list[float]:
    """Estimate the work that each (level, stage) of the reference engine still has to come.

    Args:
        state: How far the run is.
        work: What the engine does.

    Returns:
        Forward passes, in the order of the plan.
    """
    correct = [row for row, is_correct in enumerate(state.correct) if is_correct]
    last = [0] * (len(work.plan) + 1)
    for row in correct:
        last[state.stage[row]] += 1
    passed = _at_least(last)  # how many images each stage has attacked, counted from one
    costs = _costs(state, work, passed)
    if not correct:
        return [0.0] * len(work.plan)
    reached = max((state.stage[row] for row in correct), default=0)
    curve = _curve(state, work, correct, reached)
    left = []
    for number, (level, stage) in enumerate(work.plan, start=1):
        if work.exhaustive:
            images: float = len(correct) - passed[number]
        elif number <= reached:
            images = sum(state.stage[row] < number and state.level[row] > level for row in correct)
        else:
            # The first attack at an epsilon meets all that survived the one before.
            is_first = number == 1 or work.plan[number - 2][0] != level
            before = curve[level - 1] if is_first and level else curve[level]
            images = before if number > 1 else len(correct)
        left.append(images * costs[stage.name])
    return left


def _costs(state: State, work: ReferenceWork, passed: list[int]) -> dict[str, float]:
    """The work of an image under each attack: as measured, as it says, or like the others."""
    attacked: dict[str, int] = {}
    told: dict[str, float] = {}
    for number, (_, stage) in enumerate(work.plan, start=1):
        attacked[stage.name] = attacked.get(stage.name, 0) + passed[number]
        if stage.passes is not None:
            told[stage.name] = stage.passes.work
    for name, images in attacked.items():
        if images and name in state.passes:
            told[name] = Count(**state.passes[name]).work / images
    usual = sum(told.values()) / len(told) if told else Count(UNKNOWN, UNKNOWN).work
    return {name: told.get(name, usual) for name in attacked}


def _curve(state: State, work: ReferenceWork, correct: list[int], reached: int) -> list[float]:
    """How many images will stand at each epsilon: those that do where it was attacked.

    Beyond, an image is taken to stand as far as its clean margin reaches: the margin at which
    images stand grows with epsilon, from where it is at the last one that was attacked.
    """
    grid = work.grid
    at = work.plan[reached - 1][0] if reached else 0
    start = [level for level, _ in work.plan].index(at) + 1  # the first stage at this epsilon
    met = [row for row in correct if state.stage[row] >= start and state.level[row] >= at]
    standing = [sum(state.level[row] > level for row in correct) for level in range(len(grid))]
    before = standing[at - 1] / len(correct) if at else 1.0
    if not before:
        return [float(count) for count in standing]
    margins = sorted(state.margin[row] for row in correct)
    guessed, weight = PLACED, WEIGHT
    if at:
        guessed = _above(margins, _at_share(margins, before) * grid[at] / grid[at - 1]) / before
        weight = CURVE
    stood = sum(state.level[row] > at for row in met)
    share = before * (stood + weight * guessed) / (len(met) + weight)
    least = _at_share(margins, share)
    shares = [share, *(_above(margins, least * eps / grid[at]) for eps in grid[at + 1 :])]
    expected = [float(count) for count in standing[:at]]
    expected += [len(correct) * share for share in shares]
    return [min(pair) for pair in zip(expected, map(float, standing), strict=True)]


def _at_share(margins: list[float], share: float) -> float:
    """The margin that this share of the images exceeds; the margins ascend."""
    return margins[min(int((1 - share) * len(margins)), len(margins) - 1)]


def _above(margins: list[float], least: float) -> float:
    """The share of images with a larger margin."""
    return 1 - bisect_right(margins, least) / len(margins)
