"""Epsilons keep their text; a wrong one is answered in one line."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from robustbench_mix.config.epsilon import Eps, parse_eps, parse_grid, texts_of
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
        ("300", r"above 1, the whole pixel range \[0, 1\]$"),
        ("1020/255", r"above 1, the whole pixel range \[0, 1\]$"),
        ("03", "'03' is not a positive number"),
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


@pytest.mark.parametrize(
    "text",
    ["0.03137254902", "0.031372549", "0.0313725", "0.03137255", "0.0313725490196078", "8/255"],
)
def test_the_digits_of_a_fraction_are_that_fraction(text: str) -> None:
    """However many of them were written down."""
    assert texts_of(text) == ["8/255"]
    assert parse_eps(text, "linf").text == text  # a record keeps its own
    assert Eps(text).exact == Eps("8/255").exact
    assert Eps(text).value == 8 / 255


@pytest.mark.parametrize(
    "text", ["0.03", "0.0314", "0.031373", "0.25", "4/16", "0.0625", "0.123456789", "1/3", "2.5"]
)
def test_a_number_that_was_chosen_keeps_its_text(text: str) -> None:
    """A few digits are no rounded fraction, and nothing is reduced."""
    assert texts_of(text) == [text]


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("8.0/255", "8/255"),
        ("8/255.0", "8/255"),
        ("08/255", "08/255"),
        (".5/255", "0.5/255"),
        ("0.50/255", "0.5/255"),
        ("16/510", "8/255"),
        ("1/510", "0.5/255"),
        ("1/765", "1/765"),
        ("2.0/16", "2/16"),
        ("0.030", "0.03"),
        (".03", "0.03"),
        ("1.0", "1"),
    ],
)
def test_zeros_that_say_nothing_are_dropped(text: str, plain: str) -> None:
    """And multiples of a grey level are grey levels; what is no number stays as it is."""
    assert texts_of(text) == [plain]
    if text != plain:
        assert Eps(text).exact == Eps(plain).exact


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (8 / 255, "8/255"),
        (np.float32(8 / 255), "8/255"),
        (torch.tensor(8 / 255), "8/255"),
        (torch.tensor(8 / 255).item(), "8/255"),
        (0.5 / 255, "0.5/255"),
        (1 / 3, "85/255"),
        (1 / 7, "1/7"),
        (0.03, "0.03"),
        (np.float32(0.03), "0.03"),
        (1.5 / 16, "0.09375"),
        (1, "1"),
        (1e-5, "0.00001"),
        (0.123456789, "0.123456789"),
        ("8 / 255", "8/255"),
    ],
)
def test_a_number_becomes_the_text_that_people_write(number: object, text: str) -> None:
    """Those of Python, NumPy and PyTorch, in double and in single precision."""
    assert texts_of(number) == [text]
    assert parse_eps(text, "l2").value == pytest.approx(
        float(number) if not isinstance(number, str) else 8 / 255, rel=1e-7
    )


def test_one_epsilon_or_several() -> None:
    """A text with commas, a list of both kinds, an array, a generator."""
    assert texts_of("1/255, 2/255") == ["1/255", "2/255"]
    assert texts_of([8 / 255, "1/255"]) == ["8/255", "1/255"]
    assert texts_of(np.array([0.1, 0.2])) == ["0.1", "0.2"]
    assert texts_of(torch.arange(1, 3) / 255) == ["1/255", "2/255"]
    assert texts_of(k / 255 for k in (1, 2)) == ["1/255", "2/255"]
    with pytest.raises(RbmixError, match="twice"):
        parse_grid(texts_of([8 / 255, "0.03137254902"]), "linf")


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("8/255.", "8/255"),
        (" 8. / 255 ", "8/255"),
        ("1e-2", "0.01"),
        ("3.1372549e-2", "8/255"),
        ("2E0", "2"),
        ("1e99", "1e99"),
        ("1e-400", "1e-400"),
        ("8 16", "8 16"),
        ("0.1 0.2", "0.1 0.2"),
    ],
)
def test_numbers_as_python_spells_them(text: str, plain: str) -> None:
    """Are the same ones; what is no number stays as it is, and is refused by its name."""
    assert texts_of(text) == [plain]


@pytest.mark.parametrize("text", ["8 16", "8/255 4/255", "0,03", "1e99"])
def test_texts_of_several_meanings_are_refused(text: str) -> None:
    """Nothing is put together across a space, or taken apart at a decimal comma."""
    with pytest.raises(RbmixError, match="is not a positive number"):
        parse_grid(texts_of(text), "l2")


@pytest.mark.parametrize("value", [None, True, 1j, object(), b"8/255", {"eps": 0.1}])
def test_what_is_no_number_is_named(value: object) -> None:
    """In one line."""
    with pytest.raises(RbmixError, match="is not a positive number"):
        texts_of(value)


@pytest.mark.parametrize("value", [0, -1, float("inf"), float("nan"), -1e-3])
def test_what_is_no_radius_is_named(value: float) -> None:
    """Where every text is read."""
    with pytest.raises(RbmixError, match=r"not a positive number|must be above 0"):
        parse_grid(texts_of(value), "linf")


def test_a_zero_beside_others_is_left_out() -> None:
    """The clean accuracy is always reported; alone it is refused."""
    assert texts_of([0.0, 1 / 255, "0", "0/255"]) == ["1/255"]
    assert texts_of("0, 0.0, 2/255") == ["2/255"]
    assert texts_of(0) == texts_of("0") == texts_of([0]) == ["0"]
    assert texts_of("0/0,1/255") == ["0/0", "1/255"]
