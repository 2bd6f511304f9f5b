"""Curves over seeds, and their differences to the learned twin."""

from __future__ import annotations

import pytest

from robustbench_mix.results import curves
from robustbench_mix.results.curves import Curve
from robustbench_mix.results.intervals import paired_difference, wilson


def test_seeds_make_one_curve(make_run) -> None:
    """Their mean, with seeds and images resampled; smaller evaluations and other seeds apart."""
    runs = [make_run([0, 0, 2, 2], seed=0), make_run([0, 2, 2, 2], seed=1)]
    runs += [make_run([2], seed=0, data_hash="less"), make_run([0, 2], spatial="box")]
    many, one = curves.curves(runs)
    assert (many.label, many.images) == ("learned, 2 seeds", 4)
    mean, low, high = many.shares["1/255"]
    assert mean == 5 / 8
    assert low < mean < high
    assert one.label == "box"
    assert one.shares["1/255"] == (0.5, *wilson(1, 2))


def test_the_longest_training_makes_the_curve(make_run) -> None:
    """However many records shorter ones have."""
    runs = [make_run([2, 2], seed=0, epochs=20)]
    runs += [make_run([0] * 9, seed=seed, epochs=10, data_hash="more") for seed in range(3)]
    (curve,) = curves.curves(runs)
    assert (curve.images, curve.shares["1/255"][0]) == (2, 1.0)


def test_a_shorter_training_with_enough_seeds_goes_first(make_run) -> None:
    """As in the claims; curves of other trainings then name theirs."""
    runs = [make_run([2, 2], seed=0, epochs=20, channel=c) for c in ("learned", "frozen")]
    runs += [make_run([0, 0], seed=seed, epochs=10) for seed in range(6)]
    runs += [make_run([2], spatial="external", channel="external", train_examples=None,
                      epochs=None)]  # fmt: skip
    trained = runs[0].header.train_examples
    assert [curve.label for curve in curves.curves(runs)] == [
        f"learned, {trained} x 10, 6 seeds", "external", f"learned, channel frozen, {trained} x 20"
    ]  # fmt: skip
    assert [curve.label for curve in curves.curves(runs[2:])] == ["learned, 6 seeds", "external"]


def test_differences_are_to_the_learned_twin_of_the_same_seed(make_run) -> None:
    """Over the seeds that both have; each kind of mixers has its own, models of others none."""
    runs = [make_run([0, 0, 2, 2], seed=seed) for seed in range(2)]
    runs += [make_run([0, 2, 2, 2], seed=seed, spatial="frozen") for seed in range(3)]
    runs += [make_run([0, 0, 0, 2], channel="frozen")]
    runs += [make_run([2], spatial="external", channel="external", train_examples=None,
                      epochs=None)]  # fmt: skip
    frozen, channels = curves.differences(runs)
    assert (frozen.label, frozen.images) == ("frozen, 2 seeds", 4)
    assert frozen.shares["0"][0] == 0
    mean, low, high = frozen.shares["1/255"]
    assert mean == 1 / 4
    assert low < mean < high
    assert channels.name == "learned, channel frozen"
    first, second = (runs[at].standing()["1/255"].to_numpy() for at in (0, 5))
    assert channels.shares["1/255"] == paired_difference(first, second)
    assert curves.differences(runs[:2]) == []


def test_epsilons_that_leave_nothing_are_left_out() -> None:
    """All but the first; none where a network stands at the last."""

    def curve(*shares: float) -> Curve:
        grid = ["0", "1/255", "2/255", "4/255"]
        return Curve("n", 1, 9, {e: (s, s, s) for e, s in zip(grid, shares, strict=True)})

    gone, standing = curve(0.9, 0.001, 0, 0), curve(0.9, 0.5, 0.001, 0)
    assert curves.informative([gone]) == ["0", "1/255"]
    assert curves.informative([gone, standing]) == ["0", "1/255", "2/255"]
    assert len(curves.informative([curve(0.9, 0.5, 0.2, 0.1)])) == 4


@pytest.mark.parametrize(
    ("grid", "labels", "unit"),
    [
        (["0", "0.5/255", "8/255"], ["0", "0.5", "8"], "1/255"),
        (["0", "1/16", "1/255"], ["0", "1/16", "1/255"], ""),
        (["0", "0.25", "0.5"], ["0", "0.25", "0.5"], ""),
    ],
)
def test_epsilons_have_short_labels(grid: list[str], labels: list[str], unit: str) -> None:
    """In a common unit, if they have one."""
    assert curves.ticks(grid) == (labels, unit)
