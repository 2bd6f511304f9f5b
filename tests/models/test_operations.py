"""Multiply-adds, counted by hand."""

from __future__ import annotations

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
