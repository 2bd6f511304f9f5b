"""Passes that the fast engine has before it, in cases that can be counted by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from robustbench_mix.attacks.passes import Count
from robustbench_mix.evaluation.remaining_fast import BROKEN, PRIOR, FastWork, fast_passes_left
from robustbench_mix.evaluation.remaining_passes import PLACED, UNKNOWN, StagePasses

PLACING = StagePasses("fgsm", Count(4, 1))
CHEAP, DEAR = StagePasses("cheap", Count(10, 5)), StagePasses("dear", Count(100))


def work(heights: list[int], *stages: StagePasses) -> FastWork:
    """What is to be done to images that meet so many stages, at one epsilon, without checks."""
    return FastWork(PLACING, stages or (CHEAP, DEAR), 1, heights, 10**9)


def test_what_stands_meets_every_stage(make_state: Callable) -> None:
    """But for the share that is guessed to fall, which costs less."""
    left = fast_passes_left(make_state(100, levels=1), work([2] * 100))
    of_one = 1 - PRIOR * (1 - BROKEN)
    assert left["cheap"].forward == pytest.approx(100 * of_one * 10)
    assert left["dear"].forward == pytest.approx(100 * (1 - PRIOR) * of_one * 100)
    assert left["cheap"].gradient == pytest.approx(left["cheap"].forward / 2)
    assert left["fgsm"] == Count(0, 0)


def test_before_anything_is_seen_a_few_are_guessed_to_fall(make_state: Callable) -> None:
    """A single image."""
    left = fast_passes_left(make_state(1, levels=1), work([1], CHEAP))
    assert left["cheap"].forward == pytest.approx(10 * (1 - PRIOR * (1 - BROKEN)))


def test_what_is_over_costs_nothing(make_state: Callable) -> None:
    """Misclassified, broken everywhere, or through all stages."""
    state = make_state(
        3, levels=1, correct=[False, True, True], level=[1, 0, 1], failed=[-1, -1, 0],
        component=["", "cheap", ""],
    )  # fmt: skip
    assert all(count.work == 0 for count in fast_passes_left(state, work([2] * 3)).values())


def test_images_that_are_not_placed_are_placed_first(make_state: Callable) -> None:
    """Most are guessed to stand then."""
    left = fast_passes_left(make_state(8, levels=1, stage=[-1] * 8), work([2] * 8))
    assert left["fgsm"] == Count(4 * 8 * PLACED, 8 * PLACED)
    assert left["dear"].forward < 100 * 8 * PLACED


def test_an_image_meets_the_stages_before_it(make_state: Callable) -> None:
    """From where it is, up to its own height."""
    left = fast_passes_left(make_state(4, levels=1, stage=[1] * 4), work([2, 2, 1, 1]))
    assert left["cheap"].forward == 0
    assert 190 < left["dear"].forward <= 200


def test_what_is_seen_to_fall_is_expected_to(make_state: Callable) -> None:
    """At the epsilon below it begins again."""
    fell = make_state(40, levels=2, level=[1] * 20 + [2] * 20, component=["cheap"] * 20 + [""] * 20)
    calm = make_state(40, levels=2, level=[1] * 20 + [2] * 20)
    two = work([2] * 40)._replace(levels=2)
    before, after = (fast_passes_left(state, two)["dear"].forward for state in (calm, fell))
    assert after < 0.7 * before


def test_checks_are_stages_too(make_state: Callable) -> None:
    """Of conclusions that are being attacked: from where they are, without an end before it."""
    state = make_state(2, levels=2, failed=[1, 1], level=[2, 2], check=[0, 0], check_stage=[0, 1],
                       checked=["", ""])  # fmt: skip
    left = fast_passes_left(state, work([2, 2])._replace(levels=2))
    assert (left["cheap"].forward, left["dear"].forward) == (10, 200)


def test_what_does_not_tell_is_guessed(make_state: Callable) -> None:
    """As many passes of either kind."""
    left = fast_passes_left(make_state(100, levels=1), work([1] * 100, StagePasses("new", None)))
    assert left["new"].forward == left["new"].gradient
    assert 95 * UNKNOWN < left["new"].forward <= 100 * UNKNOWN
