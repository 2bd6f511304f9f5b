"""The order of the fast engine's work, decision by decision."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from robustbench_mix.attacks.base import Stage, constant_passes
from robustbench_mix.attacks.passes import Count
from robustbench_mix.data.dataset import Split
from robustbench_mix.evaluation import fast_plan
from robustbench_mix.evaluation.fast_plan import (
    PLACE,
    Attempt,
    FastPlan,
    advance,
    advance_check,
    note_margin,
    open_attempts,
    passes_left,
    plan_of,
)
from robustbench_mix.evaluation.sample_audit import draw_sample
from robustbench_mix.evaluation.state import State

LEVELS = 3


def stages(*bounds: float) -> list[Stage]:
    """One stage per number, each for a sample that leaves that share in doubt; 0 for all."""
    return [
        Stage(f"s{at}", lambda model, batch: batch.x, constant_passes(Count(at + 1)), bound=bound)
        for at, bound in enumerate(bounds)
    ]


def made(state: State, *bounds: float) -> FastPlan:
    """The plan of a run on the images of a state."""
    n = len(state.correct)
    split = Split(torch.zeros(n, 1, 1, 1), torch.zeros(n, dtype=torch.int64), torch.arange(n), 1)
    x = torch.zeros(1, 1, 1, 1)
    return plan_of(stages(*bounds), split, x, norm="linf", levels=LEVELS, seed=0)


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """No conclusion is checked."""
    monkeypatch.setattr(fast_plan, "ONE_IN", 10**12)


def test_placing_is_the_step_before_the_first_stage(make_state: Callable) -> None:
    """A gradient, and a pass for each epsilon; records call it FGSM."""
    plan = made(make_state(2), 0, 0)
    assert [plan.name(stage) for stage in (PLACE, 0, 1)] == ["fgsm", "s0", "s1"]
    assert plan.passes_of(PLACE).passes == Count(1 + LEVELS, 1)
    assert [plan.passes_of(stage).passes.forward for stage in (0, 1)] == [1, 2]
    left = passes_left(plan, make_state(2, stage=[PLACE, 0]))
    assert set(left) == {"fgsm", "s0", "s1"}
    assert left["s0"].forward > 0


def test_who_is_attacked_next(make_state: Callable) -> None:
    """Whoever is right, stands somewhere, and has not met every stage there."""
    state = make_state(
        5, correct=[True, False, True, True, True], level=[3, 3, 0, 2, 3],
        failed=[-1, -1, -1, 1, 0], stage=[0, 0, 0, 0, 1],
    )  # fmt: skip
    found = open_attempts(made(state, 0, 0), state)
    assert found == [Attempt(0, is_check=False), Attempt(4, is_check=False)]
    assert [(one.stage(state), one.level(state)) for one in found] == [(0, 2), (1, 2)]


def test_a_check_goes_on_below_what_broke_the_image(make_state: Callable) -> None:
    """And ends where it was answered, or has nothing left to say."""
    state = make_state(
        4, failed=[2, 2, 2, 0], level=[3, 3, 3, 1], check=[1, 1, -1, 1],
        checked=["", "confirmed", "", ""], check_stage=[1, 2, 0, 1],
    )  # fmt: skip
    (one,) = open_attempts(made(state, 0, 0), state)
    assert one == Attempt(0, is_check=True)
    assert (one.stage(state), one.level(state)) == (1, 1)


@pytest.mark.usefixtures("unchecked")
def test_an_image_rests_when_all_stages_failed(make_state: Callable) -> None:
    """Broken, it begins again one epsilon lower, where the engine puts it."""
    state = make_state(2)
    plan = made(state, 0, 0)
    advance(plan, state, 0, 2, is_broken=False)
    assert (state.stage[0], state.failed[0]) == (1, -1)
    advance(plan, state, 0, 2, is_broken=False)
    assert (state.stage[0], state.failed[0]) == (0, 2)
    state.stage[1], state.level[1] = 1, 2
    advance(plan, state, 1, 2, is_broken=True)
    assert (state.stage[1], state.failed[1]) == (0, -1)
    assert open_attempts(plan, state) == [Attempt(1, is_check=False)]


@pytest.mark.usefixtures("unchecked")
def test_stages_for_a_sample_are_met_by_it_alone(make_state: Callable) -> None:
    """They wait for the draw; once they break one of the farthest images, all meet them."""
    state = make_state(40)
    plan = made(state, 0, 0.2)
    assert (plan.shared, plan.bound) == (1, 0.2)
    for row in range(40):
        note_margin(state, row, 0.5 + row / 100, is_broken=False)
        advance(plan, state, row, 2, is_broken=False)
    assert state.cheap == [3] * 40
    assert open_attempts(plan, state) == []
    draw_sample(state, plan.index, plan.bound, plan.seed)
    sampled = {row for row in range(40) if state.sampled[row]}
    assert 0 < len(sampled) < 40
    assert {one.row for one in open_attempts(plan, state)} == sampled
    farthest = max(sampled)
    state.level[farthest] = 2
    advance(plan, state, farthest, 2, is_broken=True)
    assert {one.row for one in open_attempts(plan, state)} == set(range(40))


def test_the_margin_is_the_lowest_since_an_image_was_broken(make_state: Callable) -> None:
    """As a share of its clean margin."""
    state = make_state(1, margin=[2.0])
    note_margin(state, 0, 1.0, is_broken=False)
    note_margin(state, 0, 1.5, is_broken=False)
    assert state.reached == [0.5]
    note_margin(state, 0, -1.0, is_broken=True)
    assert state.reached == [1.0]


def test_before_the_draw_about_so_many_are_expected(make_state: Callable) -> None:
    """The estimate counts the sample before it is drawn, and all that is in it after."""
    state = make_state(1000)
    plan = made(state, 0, 0.02)
    share = passes_left(plan, state)["s1"].forward / (1000 * plan.passes_of(1).passes.forward)
    assert share == pytest.approx(0.13, abs=0.01)


def test_one_conclusion_in_so_many_is_attacked(make_state: Callable, monkeypatch) -> None:
    """Chosen by seed and image, at a level below, when half of the stages have failed."""
    n = 400
    state = make_state(n)
    plan = made(state, 0, 0)
    for row in range(n):
        advance(plan, state, row, 2, is_broken=False)
    chosen = [row for row in range(n) if state.check[row] >= 0]
    assert 8 <= len(chosen) <= 36
    assert {state.check[row] for row in chosen} == {0, 1}
    again = make_state(n)
    for row in reversed(range(n)):
        advance(plan, again, row, 2, is_broken=False)
    assert again.check == state.check
    lowest = make_state(n, level=[1] * n)
    for row in range(n):
        advance(plan, lowest, row, 0, is_broken=False)
    assert lowest.check == [-1] * n


def test_a_check_confirms_or_refutes(make_state: Callable) -> None:
    """What fell opens the search below; what stood against all stages is confirmed."""
    state = make_state(2, check=[1, 1], failed=[2, 2], level=[3, 1], cheap=[3, 3])
    plan = made(state, 0, 0)
    advance_check(plan, state, 0, is_broken=False)
    assert state.checked[0] == ""
    advance_check(plan, state, 0, is_broken=False)
    assert (state.checked[0], state.failed[0]) == ("confirmed", 2)
    advance_check(plan, state, 1, is_broken=True)
    assert (state.checked[1], state.failed[1], state.stage[1], state.cheap[1]) == (
        "refuted", -1, 0, 1,
    )  # fmt: skip
    assert open_attempts(plan, state) == [Attempt(1, is_check=False)]
