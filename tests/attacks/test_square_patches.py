"""The squares of Square: their size, their place, and what they paint."""

from __future__ import annotations

import pytest
import torch

from robustbench_mix.attacks.native.square_patches import (
    HALVINGS,
    corner,
    repaint,
    side_at,
    stripes,
    window,
)


@pytest.mark.parametrize(
    ("query", "norm", "side"),
    [(0, "linf", 29), (10, "linf", 29), (11, "linf", 20), (51, "linf", 14), (8001, "linf", 1),
     (0, "l2", 29), (11, "l2", 21), (8001, "l2", 3)],
)  # fmt: skip
def test_squares_shrink_as_published(query: int, norm: str, side: int) -> None:
    """From 0.8 of the pixels, by halves; odd and three at least in l2."""
    assert side_at(query, torch.zeros(1, 3, 32, 32), norm) == side


def test_squares_fit_into_small_images() -> None:
    """Of a single pixel, and of one row."""
    for shape in ((1, 1), (1, 9), (2, 2)):
        for query in (0, *HALVINGS):
            for norm in ("linf", "l2"):
                assert 1 <= side_at(query, torch.zeros(1, 1, *shape), norm) <= min(shape)


def test_corners_cover_all_places_but_the_last() -> None:
    """As AutoAttack draws them: a square never touches the far border."""
    draw = torch.linspace(0, 1 - 2**-24, 50)
    assert corner(draw, 8, 3).unique().tolist() == [0, 1, 2, 3, 4]
    assert corner(draw, 8, 8).unique().tolist() == [0]
    assert corner(torch.tensor([0.5, 0.5]), 8, torch.tensor([2, 6])).tolist() == [3, 1]


def test_a_window_has_its_length() -> None:
    """One for all images, or each its own."""
    draw = torch.tensor([0.0, 0.99])
    assert window(draw, 4, 2).int().tolist() == [[1, 1, 0, 0], [0, 1, 1, 0]]
    assert window(draw, 4, torch.tensor([4, 1])).int().tolist() == [[1, 1, 1, 1], [0, 0, 1, 0]]


def test_stripes_are_columns_of_one_sign() -> None:
    """As far as eps, within the box, drawn for each image and channel."""
    x = torch.full((2, 3, 4, 9), 0.5)
    x[:, :, :, 0] = 0.0
    eps, seeds = torch.tensor([0.1, 0.2])[:, None, None, None], torch.tensor([7, 8])
    found = stripes(x, eps, seeds)
    moved = (found - x)[..., 1:]
    torch.testing.assert_close(moved.abs(), eps.expand_as(moved))
    assert torch.equal(found, found[:, :, :1].expand_as(found))
    assert found.min() == 0
    signs = moved[:, :, 0].sign().flatten(0, 1)
    assert len(signs.unique(dim=0)) == 6
    assert torch.equal(stripes(x[1:], eps[1:], seeds[1:]), found[1:])


def test_a_square_is_painted_and_nothing_else() -> None:
    """Each channel with a sign of its own, within the box; the rest keeps the best point."""
    x, best = torch.full((2, 2, 4, 4), 0.95), torch.full((2, 2, 4, 4), 0.9)
    eps, side = torch.full((2, 1, 1, 1), 0.1), torch.tensor([2, 1])
    draw = torch.tensor([[0.0, 0.6, 0.2, 0.7], [0.99, 0.0, 0.5, 0.4]])
    found = repaint(x, best, eps, side, draw)
    first, second = torch.full((4, 4), 0.9), torch.full((4, 4), 0.9)
    first[0:2, 1:3] = 0.85
    second[0:2, 1:3] = 1.0
    torch.testing.assert_close(found[0], torch.stack([first, second]))
    first, second = torch.full((4, 4), 0.9), torch.full((4, 4), 0.9)
    first[2, 0] = 1.0
    second[2, 0] = 0.85
    torch.testing.assert_close(found[1], torch.stack([first, second]))
