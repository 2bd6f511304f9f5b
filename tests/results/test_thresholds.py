"""Absolute thresholds of the regression gate."""

from __future__ import annotations

from pathlib import Path

import pytest
from kept import HEADER, kept_of

from robustbench_mix.errors import RbmixError
from robustbench_mix.results.regression import thresholds

PATH = Path("a.csv")


@pytest.mark.parametrize("text", ["", "0.4", "@4/255", "0.4@", "1.1@4/255", "-0.1@4/255", "x@4/255",
                                  "40%@4/255", "nan@4/255", "0.4@x", ".@4/255"])  # fmt: skip
def test_what_is_no_threshold_is_refused(text: str) -> None:
    """In one line that shows how one is written, or names the epsilon."""
    with pytest.raises(RbmixError, match=r"as in 0\.40@4/255|epsilon 'x'|epsilon ''"):
        thresholds.parse(text)


def test_a_threshold_is_exact(make_run) -> None:
    """Two of four images are not below a half, however the epsilon is written."""
    run = make_run([0, 0, 1, 2], [False, True, True, True], **HEADER)
    assert run.standing().mean().tolist() == [0.75, 0.5, 0.25]
    for text, below in (
        ("0.5@1/255", False), ("0.500000001@2/510", True), ("0.25@2/255", False),
        ("0.26@2/255", True), ("0.75@0", False), ("0.76@0", True), ("1@0", True),
        ("0@1/255", False),
    ):  # fmt: skip
        (check,) = thresholds.checks([thresholds.parse(text)], run, PATH)
        assert bool(check.worse) is below, text
        assert check.name == f"at least {text}"
    assert check.verdict == "reached"
    words = "1 of 4 (25.0%) of the images withstand the attack at eps 2/255, below 26.0%"
    assert thresholds.checks([thresholds.parse("0.26@2/255")], run, PATH)[0].worse == words


def test_an_epsilon_that_was_not_attacked_is_refused(make_run) -> None:
    """Before anything is run."""
    kept = kept_of(make_run([0, 1], **HEADER))
    thresholds.check_grid([thresholds.parse("0.4@1/255"), thresholds.parse("0.4@0")], kept, PATH)
    message = r"^threshold '0.4@3/255': a.csv has no such epsilon \(allowed: 0, 1/255, 2/255\)$"
    with pytest.raises(RbmixError, match=message):
        thresholds.check_grid([thresholds.parse("0.4@3/255")], kept, PATH)
