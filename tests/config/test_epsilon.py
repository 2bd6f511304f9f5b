"""Epsilons keep their text; a wrong one is answered in one line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustbench_mix.config.epsilon import parse_eps, parse_grid
from robustbench_mix.errors import RbmixError


@pytest.mark.parametrize(
    ("text", "value"), [("8/255", 8 / 255), ("0.5/255", 0.5 / 255), ("0.03", 0.03), (".1", 0.1)]
)
def test_epsilon_keeps_its_text(text: str, value: float) -> None:
    """An epsilon is the text it was written in, with the nearest float as value."""
    eps = parse_eps(text, "linf")
    assert eps.text == text
    assert eps.value == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("-1/255", "not a positive number"),
        ("abc", "'abc' is not a positive number"),
        ("nan", "not a positive number"),
        ("1e-3", "not a positive number"),
        ("", "not a positive number"),
        ("0", "must be above 0"),
        ("1/0", "divides by zero"),
        ("8", "above 1.*did you mean 8/255"),
    ],
)
def test_bad_epsilons_are_named(text: str, message: str) -> None:
    """The error repeats the value and says what is allowed."""
    with pytest.raises(RbmixError, match=message):
        parse_eps(text, "linf")


def test_l2_epsilon_may_exceed_one() -> None:
    """An l2 ball can be larger than one pixel's range."""
    assert parse_eps("2.5", "l2").value == 2.5


def test_grid_is_sorted_and_free_of_repeats() -> None:
    """Epsilons ascend; the same value in two spellings is refused."""
    assert [eps.text for eps in parse_grid(["4/255", "1/255"], "linf")] == ["1/255", "4/255"]
    with pytest.raises(RbmixError, match="twice"):
        parse_grid(["2/4", "0.5"], "linf")
    with pytest.raises(RbmixError, match="empty"):
        parse_grid([], "linf")


@pytest.mark.default
@given(st.text(max_size=30))
def test_any_text_is_an_epsilon_or_one_line(text: str) -> None:
    """Arbitrary text never gives anything but an epsilon or an RbmixError."""
    try:
        assert parse_eps(text, "l2").value > 0
    except RbmixError as error:
        assert str(error)
