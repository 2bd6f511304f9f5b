"""Estimate how many passes of the reference engine remain."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
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

CURVE = 20.0  # weight of the guess about the next epsilon, in images


class ReferenceWork(NamedTuple):
    """The work of the reference engine: each `(level, stage)` in turn, on all that stand.

    Args:
        plan: Grid indices, and the passes of the stage that runs there.
        grid: The epsilons.
        exhaustive: Whether images that are already broken are attacked too.
    """

    plan: Sequence[tuple[int, StagePasses]]
    grid: Sequence[float]
    exhaustive: bool


def reference_work_left(state: State, work: ReferenceWork) -> list[float]:
    """Estimate the remaining work of each (level, stage) of the reference engine.

    Args:
        state: The state of the run.
        work: The work of the engine.

    Returns:
        Forward passes, in the order of the plan.
    """
    correct = [row for row, is_correct in enumerate(state.correct) if is_correct]
    last = [0] * (len(work.plan) + 1)
    for row in correct:
        last[state.stage[row]] += 1
    passed = at_least(last)  # how many images each stage has attacked, counted from one
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
    """Return the work per image of each attack: as measured, as estimated, or like the others."""
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
    """Estimate how many images stand at each epsilon; count them where it was attacked.

    Beyond, an image is assumed to stand as far as its clean margin reaches. The margin that an
    image needs grows in proportion to epsilon, starting at the last epsilon that was attacked.
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
    """Return the margin that this share of the images exceeds; the margins ascend."""
    return margins[min(int((1 - share) * len(margins)), len(margins) - 1)]


def _above(margins: list[float], least: float) -> float:
    """Return the share of images with a larger margin."""
    return 1 - bisect_right(margins, least) / len(margins)
