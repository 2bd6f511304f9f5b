"""Designs from what was measured."""

from __future__ import annotations

from dataclasses import replace

import pytest

from robustbench_mix.claims.recommend import recommend

pytestmark = pytest.mark.quick
SHARES = {"learned": (0.9, 0.5, 0.2), "frozen": (0.9, 0.54, 0.24)}


def test_a_design_rests_on_measured_variances_and_costs(planted) -> None:
    """Both twins are trained and attacked; images are no more than were ever evaluated."""
    runs = [
        replace(run, time_seconds={"training": 30.0, "attacking": 0.5 * run.header.n})
        for run in planted(SHARES, seeds=4)
    ]
    runs += planted({"learned": SHARES["learned"]}, seeds=1, n=900, data_hash="more")
    (found,) = recommend(runs, 0.02)
    assert found.where == {
        "data": "digits", "model": "resnet14", "trained on": "100 x 3", "attack": "pgd",
        "eps": "1/255",
    }  # fmt: skip
    assert (found.costs.training, found.costs.image) == (60, 1)
    assert found.design.images <= 900
    assert found.design.seeds >= 6
    assert found.design.half_width <= 0.02
    assert found.design.seconds == found.design.seeds * (60 + found.design.images)
    assert all(0 <= one < 1 for one in found.spread)


def test_one_seed_tells_nothing_of_seeds(planted) -> None:
    """There is no recommendation without a second one."""
    assert recommend(planted(SHARES, seeds=1), 0.02) == []
