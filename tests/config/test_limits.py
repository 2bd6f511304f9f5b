"""The allowed ranges of what users give."""

from __future__ import annotations

import re

import pytest

from robustbench_mix.config import limits
from robustbench_mix.errors import RbmixError
from robustbench_mix.storage.validation import MAX_NAME


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
def test_seeds_of_32_bits(seed: int) -> None:
    """Both ends are allowed."""
    assert limits.check_seed(seed) == seed


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_other_seeds_are_named(seed: int) -> None:
    """With the range."""
    with pytest.raises(RbmixError, match=f"^seed {seed} is out of range .*0 to 4294967295"):
        limits.check_seed(seed)


@pytest.mark.parametrize("name", ["a", "a b", "père", "x" * MAX_NAME])
def test_names_are_returned(name: str) -> None:
    """Whatever can be printed, up to the longest."""
    assert limits.check_name("model", name) == name


@pytest.mark.parametrize("name", ["", "a\nb", "a\x1b[0m", "\ud800", "x" * (MAX_NAME + 1)])
def test_what_is_no_name_is_refused(name: str) -> None:
    """In one line that can be printed, with the kind of name."""
    with pytest.raises(RbmixError, match="^class 'x*.*' is not 1 to ") as error:
        limits.check_name("class", name)
    assert str(error.value).isprintable()


def test_counts_are_from_one_to_the_limit() -> None:
    """None is no count, and passes."""
    for number in (None, 1, 7):
        limits.check_count("width", number, 7)
    for number in (0, -3, 8):
        words = f"width {number} must be at least 1 (allowed: up to 7)"
        with pytest.raises(RbmixError, match=re.escape(words)):
            limits.check_count("width", number, 7)
