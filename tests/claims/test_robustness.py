"""Claims 3 and 4: planted gains and losses under attack."""

from __future__ import annotations

import pytest

from robustbench_mix.claims import robustness
from robustbench_mix.claims.claim import FAILS, HOLDS


def test_a_planted_gain_holds(planted) -> None:
    """Five points at both epsilons, over six seeds."""
    runs = planted({"learned": (0.9, 0.6, 0.3), "frozen": (0.9, 0.65, 0.35)})
    claim = robustness.more_robust(runs, "pgd")
    assert claim.verdict == HOLDS
    assert [finding.answer for finding in claim.findings] == ["yes", "yes"]
    assert claim.findings[0].difference.point == pytest.approx(0.05, abs=0.02)
    # The epsilon where about half of the images stand is the one that is shown.
    main = claim.findings[0].difference
    ends = (f"{100 * end:+.1f}" for end in (main.point, main.low, main.high))
    assert claim.measured == "resnet14 1/255: {} [{}, {}] pp".format(*ends)
    assert robustness.more_robust(runs, "autoattack").reason == "no records"


def test_a_loss_does_not_hold(planted) -> None:
    """The frozen twin is weaker."""
    runs = planted({"learned": (0.9, 0.65, 0.35), "frozen": (0.9, 0.6, 0.3)})
    assert robustness.more_robust(runs, "pgd").verdict == FAILS


@pytest.mark.default
def test_no_gain_does_not_hold_once_a_point_is_ruled_out(planted) -> None:
    """Equal twins and many images: an interval below one point."""
    shares = {"learned": (0.9, 0.6, 0.3), "frozen": (0.9, 0.6, 0.3)}
    claim = robustness.more_robust(planted(shares, n=4000), "pgd")
    assert claim.verdict == FAILS
    assert all(finding.difference.high < 0.01 for finding in claim.findings)


def test_adversarially_trained_networks_are_another_matter(planted) -> None:
    """The claims are about standard training."""
    shares = {"learned": (0.9, 0.6, 0.3), "frozen": (0.9, 0.65, 0.35)}
    runs = planted(shares, adversarial="8/255")
    assert robustness.more_robust(runs, "pgd").findings == []


@pytest.mark.default
def test_smoothing_is_compared_with_the_frozen_twin(planted) -> None:
    """Gain and cost apart."""
    runs = planted(
        {"frozen": (0.9, 0.5, 0.2), "smoothed:6": (0.9, 0.6, 0.3)}, model="convmixer4",
        protocol="fgsm", dataset="cifar10", n=3000,
    )  # fmt: skip
    gains, cost = robustness.smoothing_gains(runs), robustness.smoothing_is_free(runs)
    assert gains.verdict == HOLDS
    assert gains.findings[0].where["filters"] == "smoothed:6"
    # The paper: +10 % of the accuracy at 1/255.
    assert gains.findings[0].paper == pytest.approx(0.1 * gains.findings[0].first)
    assert cost.verdict == HOLDS
    assert len(cost.findings) == 1


def test_smoothing_costs_are_counted_on_most_images(planted) -> None:
    """A clean accuracy does not depend on the attack: the larger evaluation is taken."""
    shares = {"frozen": (0.9, 0.5, 0.2), "smoothed:6": (0.9, 0.6, 0.3)}
    runs = planted(shares, protocol="autoattack", n=50) + planted(shares, protocol="fgsm", n=500)
    (cost,) = robustness.smoothing_is_free(runs).findings
    assert cost.difference.images == 500
