"""The sentences at the top: a question, the numbers, the verdict, the day."""

from __future__ import annotations

from dataclasses import replace

import pytest

from robustbench_mix.claims import verdicts
from robustbench_mix.claims.summary import Answer, answers

pytestmark = pytest.mark.quick

WHY = "**Why, is it the number of random filters?**"


def test_each_question_has_one_sentence(planted) -> None:
    """By the strongest attack that there are records of."""
    shares = {"learned": (0.9, 0.5, 0.2), "frozen": (0.89, 0.56, 0.24)}
    runs = planted(shares, protocol="fgsm", protocol_hash="f") + planted(shares)
    runs = [replace(run, date="2026-01-30") for run in runs[1:]] + [
        replace(runs[0], date="2026-02-01")
    ]
    found = answers(verdicts.all_claims(runs, []), runs)
    enough, robust, why = (answer.sentence for answer in found)
    assert found[0].verdicts == {"digits": "holds"}
    assert [answer.short for answer in found] == ["Yes.", "Yes.", "Not measured yet."]
    assert enough.startswith("**Are random spatial mixers enough?** Yes. Frozen minus learned: -")
    assert enough.endswith(" points of clean accuracy (resnet14 on digits, 6 seeds) (2026-02-01).")
    assert " points under PGD at 1/255 (resnet14" in robust
    assert why == f"{WHY} No network has two seeds yet (2026-02-01)."


def test_the_strongest_attack_with_enough_seeds_answers(planted) -> None:
    """AutoAttack on two seeds decides nothing that FGSM on six does not decide better."""
    shares = {"learned": (0.9, 0.5, 0.2), "frozen": (0.89, 0.56, 0.24)}
    runs = planted(shares, seeds=6, protocol="fgsm", protocol_hash="f")
    runs += planted(shares, seeds=2, protocol="autoattack", protocol_hash="a")
    _, robust, _ = answers(verdicts.all_claims(runs, []), runs)
    assert "under FGSM at 1/255 (resnet14 on digits, 6 seeds)" in robust.words
    _, robust, _ = answers(verdicts.all_claims(runs[-4:], []), runs)
    assert "under AutoAttack at 1/255 (resnet14 on digits, 2 seeds)" in robust.words


def test_every_network_with_enough_seeds_is_told_and_the_paper_beside_it(planted) -> None:
    """The main finding of each, then the largest figure that the paper has under these attacks."""
    shares = {"learned": (0.9, 0.5, 0.2), "frozen": (0.89, 0.5, 0.2)}
    runs = planted(shares, dataset="cifar10") + planted(shares, dataset="cifar10", model="resnet18")
    runs += planted(shares, dataset="cifar10", model="resnet34", seeds=2)
    runs += planted(shares, dataset="cifar10", protocol="fgsm", protocol_hash="f")
    _, robust, _ = answers(verdicts.all_claims(runs, []), runs)
    text = robust.words
    assert text.count("under PGD at 1/255 (resnet14 on cifar10, 6 seeds)") == 1
    assert text.count("under PGD at 1/255 (resnet18 on cifar10, 6 seeds)") == 1
    assert "resnet34" not in text
    assert "under FGSM at 2/255 (resnet14 on cifar10, 6 seeds; the paper: +2.0)" in text


def test_without_records_nothing_is_said() -> None:
    """Three sentences that say so."""
    found = answers(verdicts.all_claims([], []), [])
    assert [answer.sentence for answer in found] == [
        "**Are random spatial mixers enough?** No network has two seeds yet.",
        "**Are they more robust?** No network has two seeds yet.",
        f"{WHY} No network has two seeds yet.",
    ]


def test_the_trend_is_told_for_its_attack(planted) -> None:
    """Per doubling of the filters."""
    runs = [
        run
        for dose, gap in ((1, -0.12), (2, -0.08), (4, -0.04))
        for run in planted(
            {"learned": (0.9, 0.5, 0.2), "frozen": (0.9, 0.5 + gap, 0.2 + gap)},
            model=f"resnet14_d{dose}", n=1000,
        )
    ]  # fmt: skip
    why = answers(verdicts.all_claims(runs, []), runs)[-1].sentence
    assert why.startswith(
        f"{WHY} Yes. Each doubling of the random filters of a channel moves frozen minus learned "
        "by +4."
    )
    assert " points under PGD at 1/255 (resnet14 on digits" in why


def test_the_short_answer_names_data_sets_whose_verdicts_differ() -> None:
    """And none where they agree."""
    mixed = {"digits": "holds", "cifar10": "not enough evidence"}
    assert Answer("", "", mixed, "").short == "Yes on digits; not shown so far on cifar10."
    alike = dict.fromkeys(("digits", "cifar10"), "does not hold")
    assert Answer("", "", alike, "").short == "No."
