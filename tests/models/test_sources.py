"""Networks of every source: frozen everywhere, twins of one seed, and what is refused."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
import torch

from robustbench_mix.config.model import ModelSpec
from robustbench_mix.data.shape import run_on_blank_image
from robustbench_mix.errors import RbmixError
from robustbench_mix.models import factory, mixers, separable

SHAPE = factory.Shape(channels=3, size=32, classes=5)


needs_timm = pytest.mark.skipif(find_spec("timm") is None, reason="timm is absent")


TORCHVISION = [
    "resnet18",  # dense, strided, 1x1 shortcuts
    "resnext50_32x4d",  # grouped
    "mobilenet_v3_small",  # depthwise, squeeze and excite
    "shufflenet_v2_x0_5",  # depthwise, shuffled channels
    "convnext_tiny",  # patch embedding, depthwise 7x7, linear layers for channels
    "googlenet",  # a second head that is left out
    "squeezenet1_0",  # a convolution as its head
    "efficientnet_b0",
]
TIMM = [
    "resnet10t",
    "convmixer_768_32",  # patch embedding, depthwise with "same" padding
    "nf_resnet26",  # a standardising subclass of Conv2d
    "tf_efficientnet_b0",  # a padding subclass of Conv2d
    "mixnet_s",  # kernels of several sizes side by side
    "dla46x_c",  # grouped
    "resnetv2_50x1_bit",  # a standardising subclass
    "regnetx_002",
    "convnext_atto",
    "repvgg_a0",
]
WORDS = [f"torchvision:{name}" for name in TORCHVISION] + [
    pytest.param(f"timm:{name}", marks=needs_timm) for name in TIMM
]


@pytest.mark.default
@pytest.mark.parametrize("word", WORDS)
def test_frozen_reaches_every_spatial_filter(word: str) -> None:
    """Of any CNN no dense spatial convolution is left, and every spatial filter is frozen."""
    shape = factory.Shape(3, 64, 5)
    with torch.device("meta"):  # a network of any size in no time
        net = factory.build_without_normalization(ModelSpec(word, "frozen"), shape)
    embedding = mixers.patch_embedding(net)
    left = [m for m in net.modules() if separable.is_dense_spatial(m) and m is not embedding]
    assert left == []
    spatial = list(mixers.spatial_mixers(net))
    assert spatial
    assert not any(p.requires_grad for conv in spatial for p in conv.parameters())
    frozen = sum(p.numel() for p in net.parameters() if not p.requires_grad)
    assert frozen == sum(p.numel() for conv in spatial for p in conv.parameters())
    assert run_on_blank_image(net, shape).shape == (1, 5)


@pytest.mark.parametrize(
    "word",
    ["torchvision:squeezenet1_1", pytest.param("timm:resnet10t", marks=needs_timm)],
)
def test_twins_share_their_initial_weights(word: str) -> None:
    """Learned and frozen networks of one seed start alike, in numbers and in logits."""
    twins = [
        factory.build_without_normalization(ModelSpec(word, mode, seed=3), SHAPE)
        for mode in ("learned", "frozen")
    ]
    for one, other in zip(*(net.state_dict().values() for net in twins), strict=True):
        assert torch.equal(one, other)
    logits = [run_on_blank_image(net, SHAPE) for net in twins]
    assert torch.equal(*logits)
    again = factory.build_without_normalization(ModelSpec(word, seed=4), SHAPE).state_dict()
    assert not all(torch.equal(t, again[n]) for n, t in twins[0].state_dict().items())


@pytest.mark.parametrize(
    ("word", "spatial", "channel", "size", "message"),
    [
        ("torchvision:vit_b_16", "frozen", "learned", 224, "nothing for --spatial frozen to set"),
        ("torchvision:vit_b_16", "learned", "frozen", 224, "nothing for --channel frozen to set"),
        ("torchvision:vit_b_16", "learned", "learned", 32, "cannot take images .*--input-size N"),
        ("torchvision:vgg11", "learned", "learned", 8, "cannot take images .*--input-size N"),
    ],
)  # fmt: skip
def test_networks_that_cannot_do_it(word, spatial, channel, size, message) -> None:
    """A network without such mixers, or too small images, are refused in one line."""
    with torch.device("meta"), pytest.raises(RbmixError, match=message) as error:
        factory.build_without_normalization(
            ModelSpec(word, spatial, channel), factory.Shape(3, size, 5)
        )
    assert "\n" not in str(error.value)
