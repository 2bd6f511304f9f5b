"""rbmix's own networks by their names."""

from __future__ import annotations

import pytest
import torch

from robustbench_mix.errors import RbmixError
from robustbench_mix.models import factory
from robustbench_mix.models.sources import builtin
from robustbench_mix.models.sources.builtin import builder_for
from robustbench_mix.runtime import plugins

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


def test_suffixes_decide_over_the_names_own_numbers() -> None:
    """The paper's ConvMixers and those of its authors differ in kernel and patch."""
    for name, width, depth, kernel, patch in (
        ("convmixer4", 128, 4, 8, 1),
        ("convmixer16_2", 16, 2, 5, 2),
        ("convmixer16_2_k3", 16, 2, 3, 2),
    ):
        net = builder_for(name)(SHAPE)
        assert (net.head.in_features, len(net.blocks)) == (width, depth)
        assert net.blocks[0].depthwise.kernel_size == (kernel, kernel)
        assert net.embedding[0].kernel_size == (patch, patch)
    assert len(builder_for("resnet20_w4")(SHAPE).blocks) == 9


def test_grey_images_keep_a_large_stem() -> None:
    """Of torchvision's ResNets, one channel instead of three."""
    net = builder_for("resnet18_d1")(factory.Shape(1, 65, 10))
    assert net.conv1.depthwise.weight.shape == (1, 1, 7, 7)
    assert net.conv1.depthwise.stride == (2, 2)


def test_patches_fit_into_the_image() -> None:
    """Whose size is known when it is built."""
    builtin.build("convmixer8_2_k3_p8", SHAPE)
    with pytest.raises(RbmixError, match=r"'convmixer8_2_k3_p9': patch 9 .*\(8 pixels\)"):
        builtin.build("convmixer8_2_k3_p9", SHAPE)


def test_they_have_no_published_weights() -> None:
    """They are trained."""
    with pytest.raises(RbmixError, match="'resnet14' has no published weights: rbmix trains it"):
        builtin.load_pretrained("resnet14")


def test_a_name_that_another_package_gives_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Could be either; other names are not affected."""
    monkeypatch.setattr(plugins, "registering_packages", lambda _: {"resnet14": "theirs 1.0"})
    builtin.check("resnet20")
    with pytest.raises(RbmixError, match="'resnet14' is rbmix's own, and theirs 1.0 registers"):
        builtin.check("resnet14")
