"""The allowed ranges of what users give."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from robustbench_mix.config import limits
from robustbench_mix.errors import RbmixError
from robustbench_mix.storage.validation import MAX_NAME


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
def test_seeds_of_32_bits(seed: int) -> None:
    """Both ends are allowed."""
    assert limits.check_seed(seed) == seed


@pytest.mark.parametrize("number", [3, np.int64(3), np.uint8(3), torch.tensor(3)])
def test_whole_numbers_of_any_library(number: object) -> None:
    """Become Python's own, which records can hold."""
    assert type(limits.check_seed(number)) is type(limits.check_count("n", number, 5)) is int


@pytest.mark.parametrize("number", [2.0, "a", True, np.float32(2), None])
def test_what_is_no_whole_number_is_named(number: object) -> None:
    """Although some of it could be taken for one."""
    with pytest.raises(RbmixError, match="^seed .* is not a whole number$"):
        limits.check_seed(number)


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
