"""Differences of twins over the same images."""

from __future__ import annotations

from pathlib import Path

import pytest

from robustbench_mix.results import difference, leaderboard, records
from robustbench_mix.results.intervals import paired_difference


@pytest.fixture
def keep(tmp_path: Path, make_run):
    """A function that writes a run of the fast engine, and returns it."""

    def write(levels: list[int], key: str = "k", **header):
        run = make_run(levels, backend="fast", **header)
        records.write(run, records.run_path(tmp_path, run.header, key))
        return run

    return write


def test_each_epsilon_is_compared_image_by_image(make_run) -> None:
    """The point is the plain difference; the interval is the paired one."""
    learned, frozen = make_run([0, 0, 1, 2]), make_run([1, 2, 2, 2], spatial="frozen")
    found = difference.between(learned, frozen)
    assert [(one.spatial, one.eps) for one in found] == [
        ("frozen", eps) for eps in ("0", *learned.eps)
    ]
    assert [one.point for one in found] == [0, 0.5, 0.5]
    for one in found:
        sides = (run.standing()[one.eps].to_numpy() for run in (learned, frozen))
        assert (one.point, one.low, one.high) == paired_difference(*sides)
    assert found[1].in_points().startswith("+50.0 [")
    assert found[1].in_points() in leaderboard.to_markdown([learned, frozen])


def test_a_run_finds_its_twins(tmp_path: Path, keep) -> None:
    """The learned one for any other, all others for the learned one; of the same attack alone."""
    learned, frozen = keep([0, 1]), keep([1, 2], spatial="frozen")
    assert difference.to_twins(frozen, tmp_path) == difference.between(learned, frozen)
    assert difference.to_twins(learned, tmp_path) == difference.between(learned, frozen)
    box = keep([2, 2], spatial="box")
    assert {one.spatial for one in difference.to_twins(learned, tmp_path)} == {"box", "frozen"}
    assert difference.to_twins(box, tmp_path) == difference.between(learned, box)
    for change in ({"seed": 1}, {"protocol": "fgsm"}, {"model": "resnet20"}, {"epochs": 9}):
        other = keep([0, 1], "other", spatial="frozen", **change)
        assert difference.to_twins(other, tmp_path) == [], change


def test_names_of_any_length_have_twins(tmp_path: Path, keep) -> None:
    """The name of their file ends in a hash."""
    name = "package.module:" + "long" * 60
    learned, frozen = keep([0, 1], model=name), keep([1, 2], model=name, spatial="frozen")
    assert difference.to_twins(frozen, tmp_path) == difference.between(learned, frozen)


def test_an_external_network_has_none(tmp_path: Path, keep) -> None:
    """Nobody knows its mixers."""
    keep([0, 1])
    run = keep([0, 1], spatial="external", channel="external")
    assert difference.to_twins(run, tmp_path) == []
