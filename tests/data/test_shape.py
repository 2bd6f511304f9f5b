"""Shapes of images."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from robustbench_mix.data.dataset import Dataset, Split
from robustbench_mix.data.shape import Shape, run_on_blank_image, scaled_sides, shape_of


def test_shapes_of_images_that_are_not_square() -> None:
    """The shorter side names the size; both are kept."""
    images = torch.zeros(2, 2, 3, 4, dtype=torch.uint8)
    split = Split(images, torch.arange(2), torch.arange(2), grey_levels=255)
    shape = shape_of(Dataset("any", ("a", "b"), split, split))
    assert (shape.channels, shape.size, shape.classes, shape.image) == (2, 3, 2, (2, 3, 4))
    assert scaled_sides(3, 4, 6) == (6, 8)


def test_square_images_have_no_sides_of_their_own() -> None:
    """Their size says it all."""
    shape = Shape(3, 8, 10)
    assert (shape.sides, shape.image) == (None, (3, 8, 8))
    split = Split(
        torch.zeros(1, 1, 5, 5, dtype=torch.uint8), torch.zeros(1).long(), torch.arange(1), 255
    )
    assert shape_of(Dataset("any", ("a", "b", "c"), split, split)) == Shape(1, 5, 3)


@pytest.mark.parametrize(
    ("sides", "size", "scaled"),
    [((8, 8), 32, (32, 32)), ((6, 3), 4, (8, 4)), ((3, 7), 5, (5, 12)), ((4, 3), 3, (4, 3))],
)
def test_the_shorter_side_gets_the_size(
    sides: tuple[int, int], size: int, scaled: tuple[int, int]
) -> None:
    """The other is rounded."""
    assert scaled_sides(*sides, size) == scaled


def test_a_blank_image_leaves_the_network_as_it_was() -> None:
    """Black, of the data's shape, in eval mode without gradients; modes come back."""
    seen: list[tuple[tuple[int, ...], bool, bool]] = []

    class Watching(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append((tuple(x.shape), bool(x.any()), self.training))
            return x.flatten(1)

    net = nn.Sequential(Watching(), nn.BatchNorm1d(24), nn.Linear(24, 2))
    net[1].eval()
    out = run_on_blank_image(net, Shape(2, 3, 2, (3, 4)))
    assert seen == [((1, 2, 3, 4), False, False)]
    assert out.shape == (1, 2)
    assert not out.requires_grad
    assert [module.training for module in net] == [True, False, True]
    assert int(net[1].num_batches_tracked) == 0


def test_modes_come_back_also_after_an_error() -> None:
    """A network that does not fit the images is no less in train mode."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(5, 2))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        run_on_blank_image(net, Shape(1, 3, 2))
    assert all(module.training for module in net.modules())


def test_a_blank_image_has_the_memory_format_of_the_network() -> None:
    """Which decides how kernels round."""
    net = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    formats: list[bool] = []
    net.register_forward_pre_hook(
        lambda _, given: formats.append(given[0].is_contiguous(memory_format=torch.channels_last))
    )
    run_on_blank_image(net, Shape(3, 8, 4))
    assert formats == [True]
