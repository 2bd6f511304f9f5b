"""The learning rate of the one training loop."""

from __future__ import annotations

from itertools import pairwise

import pytest

from robustbench_mix.training.loop import learning_rate_factor


def test_the_rate_rises_linearly_and_falls_to_zero() -> None:
    """To its peak at the end of the warm-up; half of it half-way down the cosine."""
    rates = [learning_rate_factor(step, 100, 0.2) for step in range(101)]
    assert rates[:20] == pytest.approx([(step + 1) / 20 for step in range(20)])
    assert max(rates) == rates[19] == rates[20] == 1
    assert rates[60] == pytest.approx(0.5)
    assert rates[100] == pytest.approx(0)
    assert all(b <= a for a, b in pairwise(rates[20:]))


def test_one_step_is_a_whole_training() -> None:
    """Nothing is divided by zero."""
    assert learning_rate_factor(0, 1, 0.0) == 1
