"""rbmix's own networks by their names."""

from __future__ import annotations

import pytest
import torch

from robustbench_mix.errors import RbmixError
from robustbench_mix.models import factory
from robustbench_mix.models.sources.builtin import builder_for

SHAPE = factory.Shape(3, 8, 10)


def test_large_images_keep_torchvisions_stem() -> None:
    """Above 64 pixels ResNet-18 has its 7x7 stride-2 stem and its pooling."""
    small = builder_for("resnet18")(factory.Shape(3, 64, 10))
    large = builder_for("resnet18")(factory.Shape(3, 65, 10))
    assert small.conv1.depthwise.kernel_size == (3, 3)
    assert isinstance(small.maxpool, torch.nn.Identity)
    assert large.conv1.depthwise.kernel_size == (7, 7)
    assert isinstance(large.maxpool, torch.nn.MaxPool2d)


def test_names_carry_options() -> None:
    """Width, multiplier, kernel and patch are part of the name."""
    resnet = builder_for("resnet14_w8_d4")(SHAPE)
    assert resnet.stem.pointwise.out_channels == 8
    assert resnet.stem.multiplier == 4
    mixer = builder_for("convmixer16_3_k7_p4")(SHAPE)
    assert mixer.embedding[0].kernel_size == (4, 4)
    assert len(mixer.blocks) == 3
    assert mixer.blocks[0].depthwise.kernel_size == (7, 7)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet81", "did you mean 'resnet"),
        ("resnet50", "unknown model 'resnet50'"),
        ("convmixer", "unknown model 'convmixer'"),
        ("resnet14_k3", "unknown model"),
        ("resnet14_d0", "repeated or zero"),
        ("resnet14_d2_d3", "repeated or zero"),
        ("", "unknown model ''"),
    ],
)
def test_unknown_models_are_answered_with_what_there_is(name: str, message: str) -> None:
    """The error names the value and the allowed ones."""
    with pytest.raises(RbmixError, match=message):
        builder_for(name)
