"""Pairs of twins."""

from __future__ import annotations

from robustbench_mix.claims.accuracy import CHANS, FULL
from robustbench_mix.claims.pairs import Pair, clean_pairs, pairs


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


def test_the_gap_is_read_where_half_of_the_images_stand(planted) -> None:
    """Of the first network; clean accuracy is not an epsilon, but better than nothing."""
    (pair,) = pairs(
        planted({"learned": (0.9, 0.55, 0.2), "frozen": (0.9, 0.3, 0.3)}, n=40), FULL, CHANS
    )
    first, second = [eps for eps in pair.first if eps != "0"]
    assert pair.half_standing == first
    assert pair.gain(first).mean() < 0 < pair.gain(second).mean()
    assert set(pair.gain(first).ravel()) <= {-1, 0, 1}
    only = {"0": pair.first["0"]}
    assert Pair(pair.header, pair.seeds, only, only).half_standing == "0"


def test_a_training_with_enough_seeds_comes_before_a_longer_one(planted) -> None:
    """Among those with enough, and among those without, the longest is taken."""
    alike = {"learned": (0.9, 0.5, 0.2), "frozen": (0.9, 0.5, 0.2)}
    short, long = planted(alike, n=30, epochs=3), planted(alike, seeds=5, n=50, epochs=9)
    assert [p.header.epochs for p in pairs(short + long, FULL, CHANS)] == [3]
    assert [p.header.epochs for p in pairs(short[:4] + long, FULL, CHANS)] == [9]
    both = short + planted(alike, n=20, epochs=9)
    assert [p.header.epochs for p in pairs(both, FULL, CHANS)] == [9]
