"""FAB: the projection onto a hyperplane within the box is the smallest there is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from robustbench_mix.attacks.native.fab import onto_hyperplane


@settings(max_examples=60)
@given(seed=st.integers(0, 2**31), size=st.integers(1, 6))
def test_projection_onto_a_hyperplane_is_minimal(seed: int, size: int) -> None:
    """Within the box and l-infinity, a linear program finds no shorter step."""
    random = np.random.default_rng(seed)
    point, normal = random.random(size), random.normal(size=size)
    offset = float(normal @ random.random(size))
    step = onto_hyperplane(
        torch.tensor(point)[None],
        torch.tensor(normal)[None],
        torch.tensor([offset], dtype=torch.float64),
        "linf",
    )[0].numpy()
    assert normal @ (point + step) == pytest.approx(offset, abs=1e-9)
    assert (point + step >= -1e-12).all()
    assert (point + step <= 1 + 1e-12).all()
    # Variables: the step and its largest absolute entry, which is minimised.
    identity, ones = np.eye(size), np.ones((size, 1))
    program = linprog(
        [0] * size + [1],
        A_ub=np.block([[identity, -ones], [-identity, -ones]]),
        b_ub=np.zeros(2 * size),
        A_eq=np.append(normal, 0)[None],
        b_eq=[offset - normal @ point],
        bounds=[(-p, 1 - p) for p in point] + [(0, None)],
    )
    assert np.abs(step).max() == pytest.approx(program.fun, abs=1e-7)


def test_projection_onto_a_free_hyperplane_is_orthogonal() -> None:
    """Far from the box the l2 step is along the normal."""
    normal = torch.tensor([[3.0, -4.0]], dtype=torch.float64)
    point = torch.full((1, 2), 0.5, dtype=torch.float64)
    step = onto_hyperplane(point, normal, torch.tensor([0.0], dtype=torch.float64), "l2")
    torch.testing.assert_close(step, 0.5 / 25 * normal)


def test_unreachable_hyperplanes_end_in_the_corner() -> None:
    """Where the box does not reach the plane, every coordinate goes as far as it can."""
    point = torch.tensor([[0.2, 0.7]], dtype=torch.float64)
    normal = torch.tensor([[1.0, -2.0]], dtype=torch.float64)
    step = onto_hyperplane(point, normal, torch.tensor([9.0], dtype=torch.float64), "linf")
    torch.testing.assert_close(point + step, torch.tensor([[1.0, 0.0]], dtype=torch.float64))
