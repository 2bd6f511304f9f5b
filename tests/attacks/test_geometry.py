"""Directions and projections of a batch whose images have radii of their own."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from robustbench_mix.attacks.native.geometry import into_ball, steepest, unit, wide
from robustbench_mix.attacks.norms import distance

EPS = torch.tensor([0.1, 0.4])


def images(*values: list[float]) -> torch.Tensor:
    """Images of one row, (B, 1, 1, W)."""
    return torch.tensor(values)[:, None, None]


def test_each_image_has_its_own_ball() -> None:
    """Coordinate by coordinate in l-infinity, along the ray in l2."""
    x = images([0.5, 0.5], [0.5, 0.5])
    point = x + images([0.3, -0.05], [0.3, -0.4])
    clamped = into_ball(point, x, EPS, "linf")
    torch.testing.assert_close(clamped - x, images([0.1, -0.05], [0.3, -0.4]))
    shorter = into_ball(point, x, EPS, "l2")
    torch.testing.assert_close(shorter - x, images([0.3, -0.05], [0.3, -0.4]) * torch.stack(
        [EPS[0] / 0.0925**0.5, EPS[1] / 0.5])[:, None, None, None])  # fmt: skip


@given(seed=st.integers(0, 2**31), norm=st.sampled_from(["linf", "l2"]))
def test_a_projection_is_in_ball_and_box(seed: int, norm: str) -> None:
    """Up to rounding; what is inside already stays."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(2, 2, 3, 3, generator=generator)
    point = x + 2 * torch.randn(x.shape, generator=generator)
    near = into_ball(point, x, EPS, norm)
    assert (distance(near, x, norm) <= EPS + 1e-6).all()
    assert near.min() >= 0
    assert near.max() <= 1
    torch.testing.assert_close(into_ball(near, x, EPS, norm), near)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_centre_is_in_its_ball(norm: str) -> None:
    """Also where the radius is zero: no division by it."""
    x = images([0.2, 0.7], [0.0, 1.0])
    assert torch.equal(into_ball(x, x, torch.zeros(2), norm), x)
    assert torch.equal(into_ball(x + 0.1, x, torch.zeros(2), norm), x)


def test_unit_length_is_of_the_norm() -> None:
    """Each image on its own; nothing comes of nothing."""
    delta = images([3.0, -4.0], [0.0, 0.0])
    torch.testing.assert_close(unit(delta, "linf"), images([0.75, -1.0], [0.0, 0.0]))
    torch.testing.assert_close(unit(delta, "l2"), images([0.6, -0.8], [0.0, 0.0]))


def test_the_steepest_direction_gains_most() -> None:
    """As much as the dual norm of the gradient: a sign in l-infinity, itself in l2."""
    gradient = images([3.0, -4.0], [0.0, 5.0])
    assert steepest(gradient, "linf").tolist() == images([1.0, -1.0], [0.0, 1.0]).tolist()
    for norm, dual in (("linf", 1), ("l2", 2)):
        gain = (steepest(gradient, norm) * gradient).flatten(1).sum(1)
        torch.testing.assert_close(gain, gradient.flatten(1).norm(p=dual, dim=1))


def test_one_value_per_image_broadcasts() -> None:
    """Over channels, rows and columns."""
    assert wide(EPS).shape == (2, 1, 1, 1)
    assert (wide(EPS) * torch.ones(2, 3, 4, 5))[1].unique().tolist() == [EPS[1].item()]
