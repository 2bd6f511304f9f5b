"""Pairs of twins."""

from __future__ import annotations

from robustbench_mix.claims.accuracy import CHANS, FULL
from robustbench_mix.claims.pairs import clean_pairs, pairs


def test_twins_share_everything_but_their_mixers(planted, make_run) -> None:
    """Other epochs, other images or another backend make no pair; the larger set is taken."""
    shares = {"learned": (0.9, 0.5, 0.2), "frozen": (0.9, 0.5, 0.2)}
    assert pairs(
        planted({"learned": (0.9, 0.5, 0.2)}) + planted({"frozen": (0.9, 0.5, 0.2)}, epochs=9),
        FULL, CHANS,
    ) == []  # fmt: skip
    both = planted(shares, n=50, backend="reference") + planted(shares, n=80, data_hash="more")
    (pair,) = pairs(both, FULL, CHANS)
    assert pair.first["0"].shape == (6, 80)
    under = planted(shares, n=50) + planted(shares, n=60, protocol="fgsm", data_hash="more")
    assert [p.header.n for p in clean_pairs(under, FULL, CHANS)] == [60]
