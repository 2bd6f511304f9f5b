"""What a set of findings says together, and what it needs."""

from __future__ import annotations

import numpy as np
import pytest

from robustbench_mix.claims import robustness, verdicts
from robustbench_mix.claims.claim import HOLDS, IN_PART, OPEN, Claim, compare, judge


def test_a_gain_at_one_epsilon_holds_in_part(planted) -> None:
    """And the reason says where it does not."""
    runs = planted({"learned": (0.9, 0.6, 0.3), "frozen": (0.9, 0.66, 0.3)}, n=3000)
    claim = robustness.more_robust(runs, "pgd")
    assert claim.verdict == IN_PART
    assert claim.reason.startswith("in 1 of 2 comparisons")


@pytest.mark.parametrize(("seeds", "need"), [(2, "4 more seeds"), (5, "1 more seed")])
def test_too_few_seeds_are_too_little(planted, seeds: int, need: str) -> None:
    """However clear the gap: five seeds say too little about training."""
    runs = planted({"learned": (0.9, 0.6, 0.3), "frozen": (0.9, 0.8, 0.5)}, seeds=seeds)
    claim = robustness.more_robust(runs, "pgd")
    assert claim.verdict == OPEN
    assert claim.findings[0].need == need


def test_one_seed_decides_nothing(planted) -> None:
    """It is shown, and left out of the verdict; a data set with no more has no row."""
    clear = {"learned": (0.9, 0.6, 0.3), "frozen": (0.9, 0.65, 0.35)}
    alone = planted(
        {"learned": (0.9, 0.6, 0.3), "frozen": (0.9, 0.3, 0.1)}, seeds=1, model="resnet20"
    )
    claim = robustness.more_robust(planted(clear) + alone, "pgd")
    assert claim.verdict == HOLDS
    assert claim.reason == "in 2 of 2 comparisons"
    assert [finding.answer for finding in claim.findings] == ["yes", "yes", "one seed", "one seed"]
    assert "resnet20" not in claim.measured
    assert robustness.more_robust(alone, "pgd").reason == "one seed"
    elsewhere = planted(clear, seeds=1, dataset="other")
    rows = [c for c in verdicts.all_claims(planted(clear) + elsewhere, []) if c.number == "3b"]
    assert [row.data for row in rows] == ["digits"]


def test_too_few_images_say_how_many_would_do(planted) -> None:
    """Thirty images leave it open; the need is in images."""
    runs = planted({"learned": (0.9, 0.6, 0.3), "frozen": (0.9, 0.62, 0.32)}, n=30)
    claim = robustness.more_robust(runs, "pgd")
    assert claim.verdict == OPEN
    assert any("images" in finding.need for finding in claim.findings)


def test_where_both_are_at_zero_nothing_is_left(planted) -> None:
    """The second epsilon is not asked."""
    runs = planted({"learned": (0.9, 0.6, 0.0), "frozen": (0.9, 0.65, 0.0)})
    claim = robustness.more_robust(runs, "pgd")
    assert [finding.answer for finding in claim.findings] == ["yes", "nothing left"]
    assert claim.verdict == HOLDS


def test_a_need_beyond_all_seeds_is_said_so() -> None:
    """Where seeds differ by far more than the margin, no number of images helps."""
    gains = np.tile(np.array([[1], [0], [1], [0], [1], [0]]), (1, 8))
    finding = compare(gains * 0, gains, None, {"model": "m"})
    claim = judge(Claim("0", "t", "s", "t", [finding], margin=0.0025))
    assert claim.findings[0].need == "more than 1,000 seeds for 0.25 pp"
