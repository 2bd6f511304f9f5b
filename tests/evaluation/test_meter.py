"""The bar of an attack: what is done, and of how much."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from robustbench_mix.evaluation.meter import Meter


@pytest.fixture
def seen() -> list[tuple[float, str, float]]:
    """What the bar was told."""
    return []


@pytest.fixture
def meter(seen: list) -> Meter:
    """A meter that moves a list."""

    def update(done: float, note: str = "", total: float | None = None) -> None:
        seen.append((done, note, total))

    return Meter(update)


def passes(forward: int, gradient: int = 0) -> SimpleNamespace:
    """Passes so far in a batch."""
    return SimpleNamespace(forward=forward, gradient=gradient)


def test_a_batch_within_what_is_expected_leaves_the_total(meter: Meter, seen: list) -> None:
    """A gradient counts as a pass."""
    meter.begin(100, 50, 20, "pgd")
    meter(passes(4, 3))
    meter(passes(10, 10))
    assert seen == [(100, "pgd", 150), (107, "", 150), (120, "", 150)]


def test_a_batch_beyond_it_moves_the_end_at_once(meter: Meter, seen: list) -> None:
    """What was expected of the others stays."""
    meter.begin(100, 50, 20, "")
    meter(passes(35))
    assert seen[-1] == (135, "", 165)
    meter.begin(135, 30, 20, "")
    assert seen[-1] == (135, "", 165)


def test_a_batch_expects_no_more_than_all(meter: Meter, seen: list) -> None:
    """An estimate that is off by a little."""
    meter.begin(0, 10, 25, "")
    meter(passes(5))
    assert seen[-1] == (5, "", 10)


def test_of_an_attack_that_does_not_tell_half_is_to_come(meter: Meter, seen: list) -> None:
    """Always, until its end."""
    meter.begin(0, 10, 10, "", is_known=False)
    for spent, total in ((2, 10), (5, 10), (40, 80)):
        meter(passes(spent))
        assert seen[-1] == (spent, "", total)
    meter.end(40)
    assert seen[-1] == (40, "", 40)
