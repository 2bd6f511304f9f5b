"""Plan the fast engine's work: which image meets which stage at which epsilon next.

Each image is attacked one epsilon below the smallest that is known to break it, cheapest stages
first, until all stages have failed once. Below that epsilon nothing is attacked, except to test a
fixed share of these conclusions. Stages for a sample wait until the sample is drawn from what the
stages before them could not break (`sample_audit`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from robustbench_mix.attacks.base import Stage
from robustbench_mix.attacks.passes import Count
from robustbench_mix.attacks.streams import stream
from robustbench_mix.data.dataset import Split
from robustbench_mix.evaluation.remaining_fast import FastWork, fast_passes_left
from robustbench_mix.evaluation.remaining_passes import StagePasses
from robustbench_mix.evaluation.sample_audit import bound_of, rows_to_audit
from robustbench_mix.evaluation.state import State

PLACE = -1  # the stage of an image that has not been placed on the grid
ONE_IN = 20  # for one image in so many, a conclusion about it is tested by an attack


@dataclass(frozen=True)
class FastPlan:
    """The constants of a run.

    Args:
        stages: The stages, cheapest first.
        placing: Passes that placing an image on the grid takes.
        passes: For each stage, the passes of an image that withstands it.
        levels: Number of epsilons.
        index: The number of each image in its data set.
        seed: Seed of the run.
    """

    stages: list[Stage]
    placing: StagePasses
    passes: list[StagePasses]
    levels: int
    index: list[int]
    seed: int

    @property
    def shared(self) -> int:
        """The number of stages that every image meets."""
        return sum(stage.bound == 0 for stage in self.stages)

    @property
    def bound(self) -> float:
        """The share of images that an audit may leave in doubt, 0 without one."""
        return bound_of(self.stages)

    def name(self, stage: int) -> str:
        """Return the name of a stage by its position, as records show it."""
        return "fgsm" if stage == PLACE else self.stages[stage].name

    def passes_of(self, stage: int) -> StagePasses:
        """Return the passes of a stage by its position."""
        return self.placing if stage == PLACE else self.passes[stage]


class Attempt(NamedTuple):
    """One image to attack: to find a smaller epsilon, or to check a conclusion about it."""

    row: int
    is_check: bool

    def stage(self, state: State) -> int:
        """Return the position of the stage that comes next."""
        return state.check_stage[self.row] if self.is_check else state.stage[self.row]

    def level(self, state: State) -> int:
        """Return the position of the epsilon at which the image is attacked next."""
        return state.check[self.row] if self.is_check else state.level[self.row] - 1


def plan_of(
    stages: list[Stage], split: Split, x: Tensor, *, norm: str, levels: int, seed: int
) -> FastPlan:
    """Return the plan of a run.

    Args:
        stages: The stages, cheapest first.
        split: The images.
        x: A few of the images, (B, C, H, W), for the estimate of passes.
        norm: Norm of the perturbations.
        levels: Number of epsilons.
        seed: Seed of the run.
    """
    assert not stages or stages[0].bound == 0  # a sample is drawn from what a stage for all left
    return FastPlan(
        stages=stages,
        placing=StagePasses("fgsm", Count(1 + levels, 1)),
        passes=[StagePasses(stage.name, stage.passes(x, norm)) for stage in stages],
        levels=levels,
        index=split.index.tolist(),
        seed=seed,
    )


def passes_left(plan: FastPlan, state: State) -> dict[str, Count]:
    """Estimate the passes that each stage, and placing, still has to come, by its name."""
    heights = _heights(plan, state)
    if plan.bound and not any(state.sampled):
        # Not drawn yet: about the share of images that will be.
        share = 1 - 0.05 ** (1 / (plan.bound * len(heights) + 1))
        heights = [
            len(plan.stages) if int((row + 1) * share) > int(row * share) else height
            for row, height in enumerate(heights)
        ]
    work = FastWork(plan.placing, plan.passes, plan.levels, heights, ONE_IN)
    return fast_passes_left(state, work)


def open_attempts(plan: FastPlan, state: State) -> list[Attempt]:
    """Return the attempts that are left, in order of position."""
    attempts = []
    for row, height in enumerate(_heights(plan, state)):
        if (
            state.correct[row]
            and state.failed[row] < state.level[row] - 1
            and state.stage[row] < height
        ):
            attempts.append(Attempt(row, is_check=False))
        # A check at or above the epsilon that broke the image meanwhile is pointless.
        if 0 <= state.check[row] < state.level[row] and not state.checked[row]:
            attempts.append(Attempt(row, is_check=True))
    return attempts


def _heights(plan: FastPlan, state: State) -> list[int]:
    """Return how many stages each image meets if none breaks it."""
    if not plan.bound:
        return [len(plan.stages)] * len(plan.index)
    audited = rows_to_audit(state)
    return [len(plan.stages) if row in audited else plan.shared for row in range(len(plan.index))]


def advance(plan: FastPlan, state: State, row: int, level: int, *, is_broken: bool) -> None:
    """Move an image on after a stage: to the next stage, to a lower level, or to rest.

    Args:
        plan: The plan.
        state: Changed in place.
        row: The image.
        level: The position of the epsilon at which it was attacked.
        is_broken: Whether the stage broke it.
    """
    stage = state.stage[row] = 0 if is_broken else state.stage[row] + 1
    if stage == plan.shared < len(plan.stages) and state.cheap[row] < 0:
        state.cheap[row] = state.level[row]
    if not is_broken and stage == max(len(plan.stages) // 2, 1):
        # It will probably stand: check the conclusion about it now, in the same batches.
        state.check[row] = _level_to_check(plan, state, row, level)
    if stage == len(plan.stages):
        state.stage[row], state.failed[row] = 0, level


def note_margin(state: State, row: int, margin: float, *, is_broken: bool) -> None:
    """Remember how close a stage for all images came to breaking an image, for the audit.

    Args:
        state: Changed in place.
        row: The image.
        margin: Its margin at the point that the stage returned.
        is_broken: Whether the stage broke it, after which the image starts anew.
    """
    share = margin / max(state.margin[row], 1e-12)
    state.reached[row] = 1.0 if is_broken else min(state.reached[row], share)


def advance_check(plan: FastPlan, state: State, row: int, *, is_broken: bool) -> None:
    """Move a check on after a stage; a refuted conclusion opens the search below.

    Args:
        plan: The plan.
        state: Changed in place.
        row: The image.
        is_broken: Whether the stage broke it.
    """
    state.check_stage[row] += 1
    if is_broken:
        state.checked[row], state.stage[row], state.failed[row] = "refuted", 0, -1
        if state.check_stage[row] <= plan.shared:
            state.cheap[row] = min(state.cheap[row], state.level[row])
    elif state.check_stage[row] == len(plan.stages):
        state.checked[row] = "confirmed"


def _level_to_check(plan: FastPlan, state: State, row: int, level: int) -> int:
    """Choose a level below this one to check, once for one image in `ONE_IN`; else return -1."""
    if state.check[row] >= 0 or level < 1:
        return state.check[row]
    draw = stream(plan.seed, "check", plan.index[row])
    return draw // ONE_IN % level if draw % ONE_IN == 0 else -1
