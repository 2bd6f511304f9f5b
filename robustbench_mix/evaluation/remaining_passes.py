"""How many passes an attack still has before it, estimated from how far it has come.

Both estimates run what is left in expectation: images move from step to step, the share that
each step is seen to break leaves them, the rest costs what the step costs an image that stands.
They are functions of the state alone, so that a run that goes on knows as much as one that was
never stopped.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple, Protocol

from robustbench_mix.attacks.passes import Count
from robustbench_mix.evaluation.state import State
from robustbench_mix.runtime.progress import Update

PRIOR = 0.05  # the share of images that a step breaks, before anything is seen of it
WEIGHT = 4.0  # how many images that counts for
CURVE = 20.0  # how many images count for what is guessed of the next epsilon
BROKEN = 0.15  # of the passes of an image that stands, what one costs that falls
PLACED = 0.75  # the share of images that stand at the smallest epsilon, before any is attacked
UNKNOWN = 100.0  # passes of either kind of an attack that does not tell


class Passes(Protocol):
    """Passes that are being counted."""

    forward: int
    gradient: int


class Step(NamedTuple):
    """An attack, and the passes of an image that withstands it; None if nobody knows."""

    name: str
    passes: Count | None


def cost(step: Step) -> float:
    """The work of an image that withstands the step."""
    return (step.passes or Count(UNKNOWN, UNKNOWN)).work


def is_known(state: State, step: Step) -> bool:
    """Whether a step tells its passes, or some were counted."""
    return step.passes is not None or step.name in state.passes


def work_done(state: State) -> float:
    """The work behind a run."""
    return sum(Count(**each).work for each in state.passes.values())


def work_of(counts: dict[str, Count]) -> float:
    """What all of these cost together."""
    return sum(count.work for count in counts.values())


class Meter:
    """Moves a bar by the passes of the attack that runs; `Passes.on_pass` is where it listens.

    What a batch was expected to take and does not is taken off the total at its end, what it
    takes beyond is added at once.
    """

    def __init__(self, update: Update) -> None:
        self._update = update
        self._before = self._rest = self._own = 0.0
        self._is_known = True

    def begin(
        self, before: float, left: float, own: float, note: str, *, is_known: bool = True
    ) -> None:
        """A batch begins: `before` is done, `left` expected, of which `own` by this batch.

        `is_known` unless nothing tells how much it takes.
        """
        self._is_known = is_known
        self._own = min(own, left)
        self._before, self._rest = before, left - self._own
        self._update(before, note, total=before + left)

    def __call__(self, passes: Passes) -> None:
        """The batch has taken so many passes."""
        done = Count(passes.forward, passes.gradient).work
        # Of an attack that does not tell, as much again is still to come.
        own = max(self._own, done if self._is_known else 2 * done)
        self._update(self._before + done, total=self._before + own + self._rest)

    def end(self, done: float) -> None:
        """Everything is done."""
        self._update(done, total=done)


class Climb(NamedTuple):
    """What the fast schedule does: place on the grid, then a ladder of `rungs`.

    `heights` says for each image how many of the rungs it climbs if it stands, and one image in
    `one_in` climbs them a second time.
    """

    placing: Step
    rungs: Sequence[Step]
    levels: int
    heights: Sequence[int]
    one_in: int


def left_to_climb(state: State, climb: Climb) -> dict[str, Count]:
    """The passes that each step of the fast schedule is expected to take yet, by its name.

    `left_to_climb(...)["square"].forward` is, for example, how many queries are still to come.
    """
    shares = _shares(state, [rung.name for rung in climb.rungs])
    half = max(len(climb.rungs) // 2, 1)
    visits = [0.0] * len(climb.rungs)
    unplaced = 0
    for height in set(climb.heights):
        arrivals = [[0.0] * (height + 1) for _ in range(climb.levels + 1)]
        again = [0.0] * (height + 1)  # images that climb a second time, by where they begin
        for row, own in enumerate(climb.heights):
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
                again[0] += 1 / climb.one_in
        _descend(arrivals, shares, visits, height)
        for rung, count in zip(range(height), accumulate(again), strict=False):
            visits[rung] += count
    left = {climb.placing.name: (climb.placing.passes or Count()).times(unplaced * PLACED)}
    for step, count in zip(climb.rungs, visits, strict=True):
        left[step.name] = (step.passes or Count(UNKNOWN, UNKNOWN)).times(count)
    return left


def _shares(state: State, names: list[str]) -> list[float]:
    """The share of images that each rung breaks, as seen so far.

    Each image counts where it was last: passed by what it has behind it at this level, and by
    what stands before the rung that broke it last.
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
    """Let images climb from where they are, at each level from the top; count their `visits`.

    `arrivals` (levels + 1, rungs + 1) are images by the epsilon that broke them and their rung.
    What a rung breaks begins anew one level below, and nothing is below the lowest.
    """
    for level in range(len(arrivals) - 1, 0, -1):
        flow = 0.0
        for rung in range(height):
            flow += arrivals[level][rung]
            falls = flow * shares[rung]
            visits[rung] += flow - falls + BROKEN * falls
            arrivals[level - 1][0] += falls
            flow -= falls


class Rounds(NamedTuple):
    """What the reference schedule does: at each `(level, step)` in turn, on all that stand.

    `grid` are the epsilons; with `exhaustive` what is broken is attacked all the same.
    """

    plan: Sequence[tuple[int, Step]]
    grid: Sequence[float]
    exhaustive: bool


def left_in_rounds(state: State, rounds: Rounds) -> list[float]:
    """The work that each step of the reference schedule is expected to take yet."""
    correct = [row for row, is_correct in enumerate(state.correct) if is_correct]
    last = [0] * (len(rounds.plan) + 1)
    for row in correct:
        last[state.stage[row]] += 1
    passed = _at_least(last)  # how many images each step has attacked, counted from one
    costs = _costs(state, rounds, passed)
    if not correct:
        return [0.0] * len(rounds.plan)
    reached = max((state.stage[row] for row in correct), default=0)
    curve = _curve(state, rounds, correct, reached)
    left = []
    for number, (level, step) in enumerate(rounds.plan, start=1):
        if rounds.exhaustive:
            images: float = len(correct) - passed[number]
        elif number <= reached:
            images = sum(state.stage[row] < number and state.level[row] > level for row in correct)
        else:
            # The first attack of a round meets all that survived the round before.
            is_first = number == 1 or rounds.plan[number - 2][0] != level
            before = curve[level - 1] if is_first and level else curve[level]
            images = before if number > 1 else len(correct)
        left.append(images * costs[step.name])
    return left


def _costs(state: State, rounds: Rounds, passed: list[int]) -> dict[str, float]:
    """The work of an image under each attack: as measured, as it says, or like the others."""
    attacked: dict[str, int] = {}
    told: dict[str, float] = {}
    for number, (_, step) in enumerate(rounds.plan, start=1):
        attacked[step.name] = attacked.get(step.name, 0) + passed[number]
        if step.passes is not None:
            told[step.name] = step.passes.work
    for name, images in attacked.items():
        if images and name in state.passes:
            told[name] = Count(**state.passes[name]).work / images
    usual = sum(told.values()) / len(told) if told else Count(UNKNOWN, UNKNOWN).work
    return {name: told.get(name, usual) for name in attacked}


def _curve(state: State, rounds: Rounds, correct: list[int], reached: int) -> list[float]:
    """How many images will stand at each epsilon: those that do where it was attacked.

    Beyond, an image is taken to stand as far as its clean margin reaches: the margin at which
    images stand grows with epsilon, from where it is at the last one that was attacked.
    """
    grid = rounds.grid
    at = rounds.plan[reached - 1][0] if reached else 0
    start = [level for level, _ in rounds.plan].index(at) + 1  # the first step of this round
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
