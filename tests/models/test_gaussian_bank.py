"""The fixed bank: what each filter answers to."""

from __future__ import annotations

import pytest
import torch

from robustbench_mix.models.gaussian_bank import gaussian_bank

pytestmark = pytest.mark.quick


@pytest.mark.parametrize("size", [(3, 3), (5, 3), (8, 8)])
def test_filters_have_norm_one_and_details_no_mean(size: tuple[int, int]) -> None:
    """The two Gaussians are positive; the others ignore how bright an image is."""
    bank = gaussian_bank(*size)
    assert bank.shape == (8, *size)
    torch.testing.assert_close(bank.flatten(1).norm(dim=1), torch.ones(8, dtype=torch.float64))
    assert (bank[:2] > 0).all()
    assert bank[2:].flatten(1).sum(1).abs().max() < 1e-12


def test_derivatives_see_edges_lines_and_corners() -> None:
    """Each is the only derivative that answers to its own pattern on a 5x5 kernel."""
    line = torch.arange(5, dtype=torch.float64) - 2
    across, down = line.expand(5, 5), line[:, None].expand(5, 5)
    bank = gaussian_bank(5, 5)[2:7]
    for pattern, answers in (
        (across, [True, False, False, False, False]),
        (down, [False, True, False, False, False]),
        (across * down, [False, False, False, False, True]),
        (across.square() - down.square(), [False, False, True, True, False]),
    ):
        found = (bank * pattern).sum((1, 2)).abs() > 1e-9
        assert found.tolist() == answers


def test_seven_of_the_eight_are_independent_on_three_pixels() -> None:
    """There, filters that are alike in all directions have three dimensions; five are in the bank.

    On eight pixels all eight are independent.
    """
    assert torch.linalg.matrix_rank(gaussian_bank(3, 3).flatten(1)) == 7
    assert torch.linalg.matrix_rank(gaussian_bank(8, 8).flatten(1)) == 8


def test_the_difference_of_gaussians_is_a_spot() -> None:
    """Positive in the middle, negative around it."""
    spot = gaussian_bank(5, 5)[7]
    assert spot[2, 2] > 0 > spot[0, 2]
    torch.testing.assert_close(spot, spot.T)
