"""How much is done, and how long the rest takes, by a clock that tests move."""

from __future__ import annotations

import pytest

from robustbench_mix.runtime.pace import Pace, format_duration


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def ran(pace: Pace, clock: Clock, work: float, seconds: float, steps: int = 50) -> None:
    """So much work at an even speed."""
    for _ in range(steps):
        clock.now += seconds / steps
        pace.update(pace.done + work / steps)


def test_time_left_is_that_of_the_rest() -> None:
    """At an even speed it is exact."""
    clock = Clock()
    pace = Pace(1000, clock=clock)
    assert pace.seconds_left is None
    ran(pace, clock, 100, 20)
    assert pace.seconds_left == pytest.approx(180)
    assert pace.percent == 10
    ran(pace, clock, 900, 180)
    assert (pace.percent, pace.seconds_left) == (100, None)


def test_what_was_done_before_has_no_part_in_the_speed() -> None:
    """A run that goes on is honest from its first seconds."""
    clock = Clock()
    pace = Pace(1000, done=900, clock=clock)
    assert pace.percent == 90
    ran(pace, clock, 10, 30)
    assert pace.seconds_left == pytest.approx(270)


@pytest.mark.parametrize("slower", [0.25, 4.0])
def test_a_machine_that_changes_its_speed_is_followed(slower: float) -> None:
    """Half-way a neighbour comes or goes: soon what is said is right within 1.5."""
    clock = Clock()
    pace = Pace(1000, clock=clock)
    ran(pace, clock, 500, 100)
    ran(pace, clock, 250, 50 * slower)
    left = pace.seconds_left
    assert left is not None
    if slower > 1:
        assert 1 / 1.5 < left / (50 * slower) < 1.5
    else:
        assert left < 50


def test_the_share_does_not_fall_when_there_is_more_to_do() -> None:
    """Nor does it say 100 % before the end."""
    clock = Clock()
    pace = Pace(100, clock=clock)
    pace.update(60)
    pace.update(61, total=1000)
    assert pace.percent == 60
    pace.update(999)
    assert pace.percent == 99
    pace.update(999.9)
    assert pace.percent == 99
    pace.update(1000)
    assert pace.percent == 100


def test_nothing_to_do_is_done() -> None:
    """An attack on images that are all misclassified."""
    pace = Pace(0)
    assert (pace.is_over, pace.percent, pace.seconds_left) == (True, 100, None)


def test_a_long_run_is_measured_in_little_memory() -> None:
    """A million steps leave some hundred measurements."""
    clock = Clock()
    pace = Pace(1e6, clock=clock)
    ran(pace, clock, 1e6 - 1, 1e5, steps=100_000)
    assert len(pace._seen) < 1000


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (3, "3 s"),
        (99, "99 s"),
        (130, "2.2 min"),
        (900, "15 min"),
        (9000, "2.5 h"),
        (2e5, "2.3 days"),
    ],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    """One number and its unit."""
    assert format_duration(seconds) == words
