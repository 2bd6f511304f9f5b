"""The forest plot of the report."""

from __future__ import annotations

import pytest

from robustbench_mix.claims import verdicts
from robustbench_mix.claims.report.forest import forest

SHARES = {"learned": (0.9, 0.5, 0.2), "frozen": (0.88, 0.54, 0.22)}


def test_rows_have_places_and_words(planted) -> None:
    """The ends of an interval lie around its point, all between the first and the last tick."""
    runs = planted(SHARES, seeds=3) + planted(SHARES, seeds=3, dataset="cifar10")
    claims = verdicts.all_claims(runs, [])
    found = forest(claims)
    assert [(row.data, row.attack) for row in found.rows] == [
        ("cifar10", "clean"), ("cifar10", "PGD 1/255"), ("digits", "clean"),
        ("digits", "PGD 1/255"),
    ]  # fmt: skip
    for row in found.rows:
        assert 0 <= row.low <= row.point <= row.high <= 100
        assert row.claim in claims
        assert row.value in row.tip
        assert "3 seeds x 400 images" in row.tip
    clean = found.rows[0]
    assert clean.paper is not None
    assert "the paper: -1." in clean.tip
    assert found.rows[2].paper is None
    places = {words: at for at, words in found.ticks}
    assert places["0"] == found.zero
    assert (found.ticks[0][0], found.ticks[-1][0]) == (0, 100)
    # A point at a value lies where the axis has that value.
    first, last = (float(found.ticks[at][1].replace("\N{MINUS SIGN}", "-")) for at in (0, -1))
    finding = next(f for f in clean.claim.findings if f.is_main)
    value = 100 * finding.difference.point
    assert clean.point == pytest.approx(100 * (value - first) / (last - first), abs=0.01)


def test_one_seed_has_no_forest(planted) -> None:
    """Nor have no records."""
    assert forest(verdicts.all_claims(planted(SHARES, seeds=1), [])) is None
    assert forest(verdicts.all_claims([], [])) is None
