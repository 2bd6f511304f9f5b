"""Whether two runs agree image by image, and whether rounding explains where they do not."""

from __future__ import annotations

import math

import pytest

from robustbench_mix.errors import RbmixError
from robustbench_mix.results import agreement
from robustbench_mix.results.agreement import Dispute


def disputed(eps: tuple[str, ...], margins: tuple[float, float] = (0.5, 0.5)) -> Dispute:
    """Two runs that differ on image 10 at these epsilons."""
    return Dispute(10, eps, margins, (0.001, math.nan), broken_by_first=True)


def test_equal_runs_have_no_disputes(make_run) -> None:
    """Also where the examples that they found have other norms."""
    first, second = make_run([0, 1, 2]), make_run([0, 1, 2], device="cuda (x)")
    second.table["norm"] = [[0.5 * norm for norm in norms] for norms in second.table["norm"]]
    assert agreement.disputes(first, second) == []


def test_disputes_name_images_and_epsilons(make_run) -> None:
    """In the order of the first run, with the norm of the smallest example of each."""
    first, second = make_run([0, 0, 2, 2]), make_run([0, 1, 0, 1])
    one, two, three = agreement.disputes(first, second)
    assert (one.image, one.eps, one.broken_by_first) == (10, ("1/255",), True)
    assert one.norms == (0.001, 0.001)
    assert (two.image, two.eps, two.broken_by_first) == (20, ("1/255", "2/255"), False)
    assert math.isnan(two.norms[0])
    assert two.norms[1] == 0.001
    assert (three.image, three.eps, three.broken_by_first) == (30, ("2/255",), False)
    assert [found.needs_bracket for found in (one, two, three)] == ["1/255", "", "2/255"]


def test_a_clean_mistake_is_one_dispute(make_run) -> None:
    """Whatever follows from it at every epsilon."""
    first = make_run([2, 2], [True, False])
    second = make_run([2, 2], [True, True])
    (found,) = agreement.disputes(first, second)
    assert (found.image, found.eps, found.margins) == (10, ("0",), (-0.25, 0.5))
    assert found.broken_by_first
    assert found.needs_bracket == ""


@pytest.mark.parametrize(
    "change", [{"protocol_hash": "q"}, {"seed": 1}, {"dataset": "x"}, {"data_hash": "e"}]
)
def test_runs_of_other_things_are_not_compared(make_run, change: dict) -> None:
    """The field is named, with both values."""
    (name, value), run = *change.items(), make_run([0])
    with pytest.raises(RbmixError, match=f"different {name}.*{value!r}"):
        agreement.disputes(run, make_run([0], **change))


def test_a_bracket_lies_on_both_sides() -> None:
    """Two per cent of the epsilon away."""
    below, above = (float(text) for text in agreement.bracket("8/255"))
    assert below == pytest.approx(0.98 * 8 / 255)
    assert above == pytest.approx(1.02 * 8 / 255)


def test_clean_margins_may_differ_by_rounding_alone() -> None:
    """Of opposite sign, and near each other."""
    assert agreement.is_rounding(disputed(("0",), (0.004, -0.004)))
    assert not agreement.is_rounding(disputed(("0",), (0.004, -0.1)))


def test_rounding_stands_below_and_falls_above(make_run) -> None:
    """Under both conditions; without such runs nothing is explained."""
    grid = agreement.bracket("1/255")
    tips, stands, falls = (make_run([0, level], eps=grid) for level in (1, 2, 0))
    one = disputed(("1/255",))
    assert agreement.is_rounding(one, (tips, tips))
    assert not agreement.is_rounding(one, (tips, stands))
    assert not agreement.is_rounding(one, (falls, tips))
    assert not agreement.is_rounding(one)
    assert not agreement.is_rounding(disputed(("1/255", "2/255")), (tips, tips))


@pytest.mark.parametrize(
    ("broken", "undecided"), [(0, False), (4, False), (5, True), (19, True), (20, False)]
)
def test_draws_decide_where_both_ends_are_met(make_run, broken: int, undecided: bool) -> None:
    """Often enough to be no accident, and not always."""
    runs = [
        make_run([0 if seed < broken else 2], seed=seed, eps=["1/255", "2/255"])
        for seed in range(agreement.SEEDS)
    ]
    assert agreement.is_undecided(runs) is undecided


@pytest.mark.parametrize(
    ("first", "second", "one_sided"),
    [(0, 0, False), (7, 0, False), (8, 0, True), (0, 8, True), (10, 10, False), (1, 12, True)],
)
def test_luck_has_to_be_even(first: int, second: int, one_sided: bool) -> None:
    """Eight to none are too many, seven are not."""
    assert agreement.is_one_sided(first, second) is one_sided
