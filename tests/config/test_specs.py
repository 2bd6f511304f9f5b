"""What may be asked for, and how a wrong wish is answered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustbench_mix.config.specs import (
    ModelSpec,
    Spatial,
    as_json,
    parse_eps,
    parse_grid,
    parse_spatial,
    short_hash,
)
from robustbench_mix.config.training import recipe_for
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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("learned", Spatial("learned")),
        ("smoothed:6", Spatial("smoothed", 6)),
        ("smoothed:4:rescaled", Spatial("smoothed", 4, True)),
    ],
)
def test_spatial_words(text: str, expected: Spatial) -> None:
    """Each word of the vocabulary has one meaning."""
    assert parse_spatial(text) == expected


@pytest.mark.parametrize("text", ["frozn", "smoothed", "smoothed:0", "smoothed:x", "Learned", ""])
def test_unknown_spatial_words(text: str) -> None:
    """Anything else lists what is allowed."""
    with pytest.raises(RbmixError, match="allowed: learned, frozen"):
        parse_spatial(text)


def test_nearest_word_is_offered() -> None:
    """A typo is answered with the nearest word."""
    with pytest.raises(RbmixError, match="did you mean 'frozen'"):
        ModelSpec("resnet14", spatial="frozn")
    with pytest.raises(RbmixError, match="did you mean 'learned'"):
        ModelSpec("resnet14", channel="lerned")


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seed_range(seed: int) -> None:
    """Seeds fit 32 bits."""
    with pytest.raises(RbmixError, match="allowed: 0 to"):
        ModelSpec("resnet14", seed=seed)


def test_hash_changes_with_content_only() -> None:
    """Key order does not matter, values do."""
    assert short_hash({"a": 1, "b": 2}) == short_hash({"b": 2, "a": 1})
    assert short_hash({"a": 1}) != short_hash({"a": 2})


def test_digits_are_not_mirrored() -> None:
    """A mirrored digit is another sign; photographs may be mirrored."""
    assert not recipe_for("resnet", "digits").flip
    assert recipe_for("convmixer", "cifar10").flip
    assert as_json(recipe_for("resnet", "cifar10"))["optimizer"] == "sgd"
