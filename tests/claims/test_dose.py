"""Claim 6: the gap against the number of random filters."""

from __future__ import annotations

import pytest

from robustbench_mix.claims import dose
from robustbench_mix.claims.claim import HOLDS


def test_a_trend_over_doses_is_a_slope_per_doubling(planted) -> None:
    """Of the gap: four points for each doubling from 1 to 4, as planted."""
    runs = [
        run
        for dose, gap in ((1, -0.12), (2, -0.08), (4, -0.04))
        for run in planted(
            {"learned": (0.9, 0.5, 0.2), "frozen": (0.9, 0.5 + gap, 0.2 + gap)},
            model=f"resnet14_d{dose}", n=2000,
        )
    ]  # fmt: skip
    claim = dose.gap_closes(runs)
    assert claim.verdict == HOLDS
    assert [finding.where["d"] for finding in claim.findings] == ["1, 2, 4"] * 2
    for finding in claim.findings:
        assert finding.difference.point == pytest.approx(0.04, abs=0.005)
        assert finding.first == pytest.approx(0, abs=0.005)
        assert finding.second == pytest.approx(0.04, abs=0.005)
    assert claim.findings[0].is_main
    two_doses = [run for run in runs if run.header.model != "resnet14_d2"]
    assert dose.gap_closes(two_doses).reason == "no records"


def test_a_trend_needs_the_same_seeds_training_and_images(planted) -> None:
    """What not every dose has is left out."""
    shares = {"learned": (0.9, 0.5, 0.2), "frozen": (0.9, 0.45, 0.15)}
    runs = [
        run
        for dose, seeds in ((1, 6), (2, 4), (4, 6))
        for run in planted(shares, seeds=seeds, model=f"resnet14_d{dose}")
    ]
    runs += planted(shares, model="resnet14_d9", epochs=7)
    runs += planted(shares, model="resnet14_d18", data_hash="others")
    (first, _) = dose.gap_closes(runs).findings
    assert first.where["d"] == "1, 2, 4"
    assert first.difference.seeds == 4


def test_a_dose_with_few_seeds_does_not_hold_up_the_others(planted) -> None:
    """It is left out if the others have enough seeds, or more pairs; three doses are the least."""

    def found(*seeds: int) -> tuple[str, int]:
        runs = [
            run
            for dose, count in zip((1, 2, 4, 18), seeds, strict=True)
            for run in planted(
                {"learned": (0.9, 0.5, 0.2), "frozen": (0.9, 0.4, 0.1)},
                seeds=count, n=50, model=f"resnet14_d{dose}",
            )
        ]  # fmt: skip
        finding = dose.gap_closes(runs).findings[0]
        return finding.where["d"], finding.difference.seeds

    assert found(6, 6, 6, 6) == ("1, 2, 4, 18", 6)
    assert found(6, 6, 5, 6) == ("1, 2, 18", 6)
    assert found(2, 1, 2, 2) == ("1, 4, 18", 2)
    assert found(4, 4, 4, 3) == ("1, 2, 4, 18", 3)
