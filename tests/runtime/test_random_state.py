"""Random states are borrowed and given back."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from robustbench_mix.runtime.random_state import own_random_state

pytestmark = pytest.mark.quick


def draws() -> list[float]:
    """One number of each generator."""
    return [random.random(), float(np.random.rand()), float(torch.rand(()))]


def seed() -> None:
    """Put all generators into one known state."""
    random.seed(3)
    np.random.seed(3)
    torch.manual_seed(3)


def test_the_block_draws_the_same_and_leaves_no_trace() -> None:
    """Also if it ends with an error."""
    seed()
    expected = draws()
    seed()
    with own_random_state(torch.device("cpu")):
        inside = draws()
    with pytest.raises(ZeroDivisionError), own_random_state(torch.device("cpu")):
        assert draws() == inside
        raise ZeroDivisionError
    assert draws() == expected
