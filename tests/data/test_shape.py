"""Shapes of images."""

from __future__ import annotations

import torch

from robustbench_mix.data.dataset import Dataset, Split
from robustbench_mix.data.shape import scaled_sides, shape_of


def test_shapes_of_images_that_are_not_square() -> None:
    """The shorter side names the size; both are kept."""
    images = torch.zeros(2, 2, 3, 4, dtype=torch.uint8)
    split = Split(images, torch.arange(2), torch.arange(2), grey_levels=255)
    shape = shape_of(Dataset("any", ("a", "b"), split, split))
    assert (shape.channels, shape.size, shape.classes, shape.image) == (2, 3, 2, (2, 3, 4))
    assert scaled_sides(3, 4, 6) == (6, 8)
