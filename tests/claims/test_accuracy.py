"""Claims 1 and 2: clean accuracy within a margin, and static filters."""

from __future__ import annotations

from robustbench_mix.claims import accuracy
from robustbench_mix.claims.claim import FAILS, HOLDS, IN_PART, UNDECIDED


def test_accuracy_within_the_margin_holds(planted) -> None:
    """Two points below is almost as well; ten is not."""
    near = planted({"learned": (0.90, 0.5, 0.2), "frozen": (0.88, 0.5, 0.2)})
    far = planted({"learned": (0.90, 0.5, 0.2), "frozen": (0.80, 0.5, 0.2)})
    assert accuracy.almost_as_well(near).verdict == HOLDS
    assert accuracy.almost_as_well(far).verdict == FAILS


def test_near_the_margin_the_need_is_to_tell_the_sides_apart(planted) -> None:
    """Not to find the paper's effect: a loss of 4.5 points against one of 4 allowed."""
    runs = planted({"learned": (0.9, 0.5, 0.2), "frozen": (0.855, 0.5, 0.2)}, n=400)
    (finding,) = accuracy.almost_as_well(runs).findings
    assert finding.answer == UNDECIDED
    off = abs(100 * (finding.difference.point + accuracy.MARGIN))
    assert finding.need.endswith(f"for {max(off, 0.1):.2g} pp")


def test_static_filters_fall_step_by_step(planted) -> None:
    """Learned > Different > Same > Box > Identity; a reversal is found."""
    fall = {
        "learned": (0.9, 0.5, 0.2), "frozen": (0.85, 0.5, 0.2), "same": (0.7, 0.5, 0.2),
        "box": (0.6, 0.5, 0.2), "identity": (0.55, 0.5, 0.2),
    }  # fmt: skip
    claim = accuracy.static_structure(planted(fall))
    assert claim.verdict == HOLDS
    assert len(claim.findings) == 4
    fall["box"] = (0.75, 0.5, 0.2)
    assert accuracy.static_structure(planted(fall)).verdict == IN_PART
