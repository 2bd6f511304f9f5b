"""The norms, and how other libraries write them."""

from __future__ import annotations

import math

from robustbench_mix.config import norms
from robustbench_mix.config.epsilon import parse_eps


def test_every_norm_has_a_spelling_of_each_library() -> None:
    """And each spelling leads back to it."""
    assert set(norms.ROBUSTBENCH) == set(norms.FROM_ORDER.values()) == set(norms.NORMS)
    assert norms.FROM_ROBUSTBENCH == {"Linf": "linf", "L2": "l2"}
    assert norms.FROM_ORDER[math.inf] == "linf"
    assert norms.FROM_ORDER[2.0] == "l2"


def test_epsilons_are_read_in_every_norm() -> None:
    """No norm is known by name alone."""
    assert [parse_eps("1/2", norm).value for norm in norms.NORMS] == [0.5, 0.5]
