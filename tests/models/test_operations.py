"""Multiply-adds, counted by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from robustbench_mix.config.model import ModelSpec
from robustbench_mix.models import factory
from robustbench_mix.models.operations import count_multiply_adds

COLOUR = factory.Shape(channels=3, size=32, classes=10)


def test_a_separable_layer_by_hand() -> None:
    """The stem of resnet14: 3 to 16 channels, 3x3, multiplier 9, on 32x32 positions."""
    stem = count_multiply_adds(
        factory.build_on_meta_device(ModelSpec("resnet14"), COLOUR), COLOUR
    ).separable[0]
    assert stem.name == "stem"
    assert stem.composed == 32 * 32 * (16 * 3 * 9) == 442_368
    assert stem.two_step == 32 * 32 * (3 * 9 * 9 + 27 * 16) == 691_200
    assert stem.composing == 16 * 3 * 9 * 9
    assert (stem.runs, stem.as_it_runs) == ("composed", 442_368)


def test_a_layer_that_runs_twice_counts_twice() -> None:
    """Each time at its own size; the hooks are gone afterwards."""

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3, padding=1)
            self.pool = nn.AvgPool2d(2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.conv(self.pool(self.conv(x))).mean((2, 3))

    net = Twice()
    assert count_multiply_adds(net, factory.Shape(3, 8, 3)).rest == (64 + 16) * 3 * 3 * 9
    assert not net.conv._forward_hooks
    assert net.training


def test_linear_layers_on_maps_are_told_apart() -> None:
    """By the number of vectors of an image; each is counted."""

    class Maps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.head = nn.Linear(3, 5), nn.Linear(5, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.inner(x.permute(0, 2, 3, 1)).mean((1, 2)))

    net = Maps()
    found = count_multiply_adds(net, factory.Shape(3, 4, 2))
    assert found.rest == 16 * 3 * 5 + 5 * 2
    assert found.on_maps == {net.inner}
    assert found.separable == []


def test_hooks_go_when_a_network_fails() -> None:
    """The error is its own."""
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(7, 2))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        count_multiply_adds(net, factory.Shape(3, 8, 2))
    assert not any(module._forward_hooks for module in net.modules())
