"""Robustness curves as drawings."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from robustbench_mix.results import plots as plot
from robustbench_mix.results.intervals import wilson


@pytest.mark.default
def test_plot_is_an_svg_with_every_curve(results: Path) -> None:
    """The drawing names the variants and the epsilons."""
    paths = plot.write(results)
    assert sorted(path.name for path in paths) == [
        "digits-my.net_make-pgd-reference.svg",
        "digits-resnet14-pgd-reference.svg",
    ]
    text = "".join(
        ElementTree.parse(results / "curves" / "digits-resnet14-pgd-reference.svg")
        .getroot()
        .itertext()
    )
    for word in ("learned", "frozen", "1/255", "2/255", "resnet14 on digits, pgd"):
        assert word in text


def test_seeds_make_one_curve(make_run) -> None:
    """Their mean, with seeds and images resampled; smaller evaluations and other seeds apart."""
    runs = [make_run([0, 0, 2, 2], seed=0), make_run([0, 2, 2, 2], seed=1)]
    runs += [make_run([2], seed=0, data_hash="less"), make_run([0, 2], spatial="box")]
    many, one = plot.curves(runs)
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
    (curve,) = plot.curves(runs)
    assert (curve.images, curve.shares["1/255"][0]) == (2, 1.0)
