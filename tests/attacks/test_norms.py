"""Projection and random points, for all inputs."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from robustbench_mix.attacks.norms import distance, project, random_point, random_signs
from robustbench_mix.attacks.streams import generators

norms = st.sampled_from(["linf", "l2", "l1"])
epsilons = st.floats(1e-6, 3.0)
seeds = st.integers(0, 2**31)


def images(seed: int, scale: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Images in the box, some pixels at its border, and points `scale` away from them."""
    generator = torch.Generator().manual_seed(seed)
    x = (torch.rand(3, 2, 4, 5, generator=generator) * 1.2 - 0.1).clamp(0, 1)
    return x, x + scale * torch.randn(x.shape, generator=generator)


@settings(max_examples=300)
@given(seed=seeds, norm=norms, eps=epsilons, scale=st.floats(1e-7, 10))
def test_projection_is_inside_exactly(seed: int, norm: str, eps: float, scale: float) -> None:
    """The result is in ball and box without any tolerance."""
    x, x_adv = images(seed, scale)
    near = project(x_adv, x, eps, norm)
    assert (distance(near, x, norm) <= eps).all()
    assert near.min() >= 0
    assert near.max() <= 1


@settings(max_examples=200)
@given(seed=seeds, norm=norms, eps=epsilons)
def test_projection_leaves_inner_points_alone(seed: int, norm: str, eps: float) -> None:
    """A point already inside comes back bit for bit."""
    x, x_adv = images(seed, 1.0)
    inside = project(x_adv, x, eps, norm)
    assert torch.equal(project(inside, x, eps, norm), inside)


@settings(max_examples=200)
@given(seed=seeds, norm=norms, eps=st.floats(1e-4, 0.2))
def test_projection_reaches_the_boundary(seed: int, norm: str, eps: float) -> None:
    """A far point in an unclipped direction ends within rounding of the sphere."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.full((2, 1, 4, 4), 0.5)
    x_adv = x + 0.45 * torch.randn(x.shape, generator=generator).sign()
    near = project(x_adv, x, eps, norm)
    torch.testing.assert_close(
        distance(near, x, norm), torch.full((2,), eps, dtype=torch.float64), rtol=1e-3, atol=1e-6
    )


def test_projection_replaces_nan_by_the_image() -> None:
    """NaN pixels count as unperturbed, never as adversarial."""
    x = torch.rand(1, 1, 2, 2)
    x_adv = x.clone()
    x_adv[0, 0, 0, 0] = torch.nan
    assert torch.equal(project(x_adv, x, 0.1, "linf"), x)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("draw", [random_point, random_signs])
def test_draws_depend_on_the_image_alone(norm: str, draw) -> None:
    """An image's random point is the same in any batch and any order."""
    x = torch.rand(5, 1, 3, 3)
    whole = draw(x, 0.1, norm, generators([0, 1, 2, 3, 4], 7, "a"))
    part = draw(x[[3, 1]], 0.1, norm, generators([3, 1], 7, "a"))
    assert torch.equal(part, whole[[3, 1]])
    other = draw(x, 0.1, norm, generators([0, 1, 2, 3, 4], 8, "a"))
    assert not torch.equal(other, whole)


@settings(max_examples=100)
@given(seed=seeds, norm=st.sampled_from(["linf", "l2"]), eps=st.floats(1e-3, 1.0))
def test_draws_stay_in_the_ball(seed: int, norm: str, eps: float) -> None:
    """Random points are inside up to float32 rounding; the harness projects exactly."""
    x, _ = images(seed, 0.0)
    for draw in (random_point, random_signs):
        point = draw(x, eps, norm, generators([0, 1, 2], seed, "b"))
        assert (distance(point, x, norm) <= eps * (1 + 1e-5) + 1e-7).all()
        assert point.min() >= 0
        assert point.max() <= 1


def test_uniform_l2_points_fill_the_ball() -> None:
    """Radii follow the volume law: in 4 dimensions half of them exceed 2 ** -0.25."""
    x = torch.full((2000, 1, 2, 2), 0.5)
    point = random_point(x, 0.4, "l2", generators(list(range(2000)), 0, "c"))
    share = (distance(point, x, "l2") > 0.4 * 0.5**0.25).double().mean()
    assert abs(share - 0.5) < 0.05


@settings(max_examples=50)
@given(seed=seeds, eps=st.floats(0.1, 2.0))
def test_the_l1_projection_is_the_nearest_point(seed: int, eps: float) -> None:
    """No other point of the ball that was drawn is nearer."""
    x, x_adv = images(seed, 0.3)
    x_adv = x_adv.clamp(0, 1)
    near = project(x_adv, x, eps, "l1")
    others = x + (x_adv - x) * torch.rand(200, *x.shape)
    length = (others - x).abs().flatten(2).sum(2)[..., None, None, None]
    others = x + (others - x) * (eps / length).clamp_max(1)
    distances = (others - x_adv).flatten(2).norm(dim=2)
    assert (distances >= (near - x_adv).flatten(1).norm(dim=1) - 1e-4).all()
