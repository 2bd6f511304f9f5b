"""The options that a protocol gives to an attack."""

from __future__ import annotations

import pytest

from robustbench_mix.attacks.base import Stage
from robustbench_mix.attacks.options import (
    MAX_RESTARTS,
    at_least_one,
    call_with_options,
    check_pgd,
    check_share,
)
from robustbench_mix.errors import RbmixError


@pytest.mark.parametrize("value", [0, -1, 1.0, 2.5, True, "3", None, 10**6 + 1])
def test_what_is_no_count(value: object) -> None:
    """Named with the value and the bounds."""
    with pytest.raises(RbmixError, match=r"option steps = .* at least 1 .*up to 1,000,000"):
        at_least_one("steps", value)


def test_counts_are_given_back() -> None:
    """From one to the largest that is allowed."""
    assert [at_least_one("draws", value, 7) for value in (1, 7)] == [1, 7]
    with pytest.raises(RbmixError, match=r"draws = 8 .*up to 7\)"):
        at_least_one("draws", 8, 7)


@pytest.mark.parametrize("step_size", [0, -0.1, 2.01, float("nan"), True, "0.1"])
def test_what_is_no_step_of_pgd(step_size: object) -> None:
    """It is a share of eps, up to the diameter of the ball."""
    with pytest.raises(RbmixError, match="step_size = .* must be above 0 and at most 2"):
        check_pgd(1, 1, step_size)


def test_the_options_of_pgd() -> None:
    """At their bounds, and one beyond."""
    check_pgd(1, MAX_RESTARTS, 2)
    with pytest.raises(RbmixError, match="restarts = 1001"):
        check_pgd(1, MAX_RESTARTS + 1, 0.1)


def test_options_are_arguments() -> None:
    """Unknown and missing ones are named; an error within the attack is its own."""

    def make(classes: int, *, width: int, depth: int = 2) -> list[Stage]:
        if depth == 0:
            raise TypeError("inside")
        return [Stage(f"{classes}-{width}-{depth}", lambda model, batch: batch.x)]

    (stage,) = call_with_options(make, "mine", 10, {"width": 3})
    assert stage.name == "10-3-2"
    for options, message in (
        ({"width": 3, "height": 1}, "options of algorithm 'mine': .*'height'"),
        ({}, "options of algorithm 'mine': missing a required .*'width'"),
    ):
        with pytest.raises(RbmixError, match=message):
            call_with_options(make, "mine", 10, options)
    with pytest.raises(TypeError, match="inside"):
        call_with_options(make, "mine", 10, {"width": 3, "depth": 0})


def test_a_share_is_between_nothing_and_all() -> None:
    """Neither end, no other type."""
    check_share("bound", 0.02)
    for value in (0.0, 1.0, -0.1, 1, "0.1", True, None, float("nan")):
        with pytest.raises(RbmixError, match="option bound = .* must be above 0 and below 1"):
            check_share("bound", value)
