"""The norms, and how other libraries write them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from robustbench_mix.config import norms
from robustbench_mix.config.epsilon import parse_eps
from robustbench_mix.errors import RbmixError


def test_every_norm_has_a_spelling_of_each_library() -> None:
    """And each spelling leads back to it."""
    assert set(norms.ROBUSTBENCH) == set(norms.FROM_ORDER.values()) == set(norms.NORMS)
    assert norms.FROM_ROBUSTBENCH == {"Linf": "linf", "L2": "l2", "L1": "l1"}
    assert norms.FROM_ORDER[math.inf] == "linf"
    assert norms.FROM_ORDER[2.0] == "l2"
    assert norms.FROM_ORDER[1.0] == "l1"


def test_epsilons_are_read_in_every_norm() -> None:
    """No norm is known by name alone."""
    assert [parse_eps("1/2", norm).value for norm in norms.NORMS] == [0.5, 0.5, 0.5]


@pytest.mark.parametrize(
    ("word", "norm"),
    [("Linf", "linf"), ("LINF", "linf"), ("l_inf", "linf"), ("L-inf", "linf"), ("inf", "linf"),
     ("L2", "l2"), ("l_2", "l2"), ("2", "l2"), (2, "l2"), ("L1", "l1"), (float("inf"), "linf"),
     (np.inf, "linf"), (2.0, "l2"), (np.float64(1), "l1"), (np.int64(2), "l2"), ("L_∞", "linf"),
     ("L∞", "linf"), ("l-infinity", "linf"), ("Infinity", "linf"), ("1", "l1"), (" L2 ", "l2")],
)  # fmt: skip
def test_a_norm_may_be_spelled_as_usual(word: object, norm: str) -> None:
    """As in other libraries."""
    assert norms.parse(word) == norm


@pytest.mark.parametrize(
    "word", ["l7", "", "l", 0, 2.5, math.nan, -math.inf, -1, "corruptions", "l1l", None, True]
)
def test_an_unknown_norm_is_named(word: object) -> None:
    """With the known ones."""
    with pytest.raises(RbmixError, match=r"unknown norm '.*linf, l2, l1"):
        norms.parse(word)
