"""Work that the reference engine has before it, in cases that can be counted by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from robustbench_mix.attacks.passes import Count
from robustbench_mix.evaluation.remaining_passes import UNKNOWN, StagePasses
from robustbench_mix.evaluation.remaining_reference import ReferenceWork, reference_work_left

PGD, SQUARE = StagePasses("pgd", Count(10, 10)), StagePasses("square", Count(50))


def work(*stages: StagePasses, exhaustive: bool = False) -> ReferenceWork:
    """Each stage at two epsilons."""
    plan = [(level, stage) for level in range(2) for stage in stages]
    return ReferenceWork(plan, [0.1, 0.2], exhaustive)


def test_at_first_all_that_are_right_are_attacked(make_state: Callable) -> None:
    """Later fewer stand, as their margins say."""
    state = make_state(10, levels=2, correct=[True] * 8 + [False] * 2)
    left = reference_work_left(state, work(PGD, SQUARE))
    assert left[0] == 8 * 20
    assert 0 < left[1] < 8 * 50
    assert left[2] / 20 <= left[0] / 20


def test_with_nothing_saved_it_is_known_exactly(make_state: Callable) -> None:
    """Every image meets every stage, broken or not."""
    state = make_state(10, levels=2, level=[0] * 5 + [2] * 5, stage=[1] * 4 + [0] * 6)
    left = reference_work_left(state, work(PGD, SQUARE, exhaustive=True))
    assert left == [6 * 20, 10 * 50, 10 * 20, 10 * 50]


def test_where_a_stage_has_begun_it_is_counted(make_state: Callable) -> None:
    """Those that have not met it and still stand; a stage that is over has no work."""
    state = make_state(10, levels=2, level=[0] * 3 + [2] * 7, stage=[2] * 4 + [1] * 6)
    left = reference_work_left(state, work(PGD, SQUARE))
    assert left[:2] == [0, 6 * 50]


def test_none_is_right(make_state: Callable) -> None:
    """There is nothing to do."""
    state = make_state(3, levels=2, correct=[False] * 3)
    assert reference_work_left(state, work(PGD, SQUARE)) == [0] * 4


def test_costs_are_as_measured(make_state: Callable) -> None:
    """Rather than as told; what tells nothing costs what the others do on average."""
    silent = StagePasses("silent", None)
    state = make_state(
        4, levels=2, stage=[1] * 4, passes={"pgd": {"forward": 4 * 3, "gradient": 4 * 2}}
    )
    left = reference_work_left(state, work(PGD, silent, exhaustive=True))
    assert left == [0, 4 * 5, 4 * 5, 4 * 5]
    fresh = make_state(4, levels=2)
    left = reference_work_left(fresh, work(silent, exhaustive=True))
    assert left == [4 * 2 * UNKNOWN] * 2


def test_what_fell_is_not_expected_again(make_state: Callable) -> None:
    """At the next epsilon no more than those that stand at this one."""
    state = make_state(10, levels=2, level=[0] * 9 + [2], stage=[2] * 10, margin=[1.0] * 10)
    left = reference_work_left(state, work(PGD, SQUARE))
    assert left[:2] == [0, 0]
    assert left[2] <= 20


@pytest.mark.parametrize("margin", [0.1, 5.0])
def test_the_scale_of_the_margins_says_nothing(make_state: Callable, margin: float) -> None:
    """Only how they compare."""
    margins = [margin * at for at in range(1, 11)]
    state = make_state(10, levels=2, level=[0] * 5 + [2] * 5, stage=[2] * 10, margin=margins)
    left = reference_work_left(state, work(PGD, SQUARE))
    # Half stands at 0.1; at 0.2 none has twice the margin of the least that does.
    assert left[2] == 5 * 20
    assert left[3] < 3 * 50
