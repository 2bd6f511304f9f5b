"""Explanations from the curves: controls and the strength of attacks."""

from __future__ import annotations

import pytest

from robustbench_mix.claims.explanations import attacks


def test_controls_are_of_the_same_seed_and_images(planted) -> None:
    """The learned network nearest in clean accuracy, and the one that trains its norms alone."""
    how = {"backend": "fast", "seeds": 2}
    runs = planted({"learned": (0.9, 0.6, 0.3), "frozen": (0.8, 0.5, 0.2)}, **how)
    assert attacks.controls(runs).rows == []
    runs += planted({"learned": (0.8, 0.4, 0.1)}, **how, model="resnet14_w14")
    runs += planted({"learned": (0.5, 0.2, 0.1)}, **how, model="resnet14_w8")
    runs += planted({"frozen": (0.4, 0.1, 0.0)}, **how, channel="frozen")[:1]
    runs += planted({"learned": (0.8, 0.1, 0.0)}, **how, model="resnet14_w15", data_hash="other")
    runs += planted({"frozen": (0.7, 0.1, 0.0)}, **how, epochs=1)  # nobody is as accurate
    matched, norms = attacks.controls(runs).rows
    assert matched[4:7] == ["2 x 400", "accuracy-matched", "resnet14_w14, 100 x 3"]
    assert norms[4:7] == ["1 x 400", "norms alone trained", "resnet14, 100 x 3"]
    assert 5 < float(matched[9].split()[0]) < 15
    assert 35 < float(norms[8].split()[0]) < 45


@pytest.mark.default
def test_attacks_are_compared_on_the_same_images(planted) -> None:
    """Not FGSM on many images against AutoAttack on few of them."""
    few, many = {"learned": (0.9, 0.6, 0.3), "frozen": (0.9, 0.7, 0.4)}, (0.9, 0.6, 0.3)
    runs = [
        run
        for attack in ("fgsm", "autoattack")
        for run in planted(few, protocol=attack, protocol_hash=attack)
    ]
    more = {"learned": many, "frozen": many}
    runs += planted(more, protocol="fgsm", protocol_hash="fgsm", n=4000, data_hash="more")
    row = attacks.strength(runs).rows[0]
    assert row[3] == row[5]
    assert row[3].startswith("+")
