"""Freezing and randomness apart: static filters between the learned network and the frozen one."""

from __future__ import annotations

import pytest

from robustbench_mix.claims.claim import FAILS, HOLDS, IN_PART
from robustbench_mix.claims.frozen_or_random import freezing_gains, randomness_gains

pytestmark = pytest.mark.quick
LEARNED, FROZEN = (0.9, 0.5, 0.2), (0.9, 0.56, 0.25)


def test_where_any_static_filters_gain_it_is_the_freezing(planted) -> None:
    """Then random ones are no better than others."""
    runs = planted({"learned": LEARNED, "frozen": FROZEN, "gaussian": FROZEN}, n=4000)
    assert freezing_gains(runs).verdict == HOLDS
    assert randomness_gains(runs).verdict == FAILS


def test_where_random_filters_alone_gain_it_is_the_randomness(planted) -> None:
    """Then freezing others gains nothing."""
    runs = planted({"learned": LEARNED, "frozen": FROZEN, "impulse": LEARNED}, n=4000)
    assert freezing_gains(runs).verdict == FAILS
    claim = randomness_gains(runs)
    assert claim.verdict == HOLDS
    assert {finding.where["filters"] for finding in claim.findings} == {"impulse"}


def test_each_kind_of_filters_is_asked(planted) -> None:
    """One that gains and one that does not hold in part."""
    shares = {"learned": LEARNED, "frozen": FROZEN, "box": LEARNED, "gaussian": FROZEN}
    claim = freezing_gains(planted(shares, n=4000))
    assert claim.verdict == IN_PART
    kinds = [finding.where["filters"] for finding in claim.findings]
    assert kinds == ["box", "box", "gaussian", "gaussian"]


def test_smoothed_filters_are_another_claim(planted) -> None:
    """They are random draws, low-passed."""
    assert freezing_gains(planted({"learned": LEARNED, "smoothed:2": FROZEN})).findings == []
