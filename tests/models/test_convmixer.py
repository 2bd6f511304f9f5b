"""ConvMixer: shapes, even kernels, and its block by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from robustbench_mix.models.convmixer import ConvMixer, MixerBlock


@pytest.mark.parametrize("kernel", [1, 2, 3, 8])
@pytest.mark.parametrize("multiplier", [1, 3])
def test_a_block_keeps_the_shape(kernel: int, multiplier: int) -> None:
    """Whatever the kernel, also one that is larger than the map; its groups are the channels."""
    block = MixerBlock(4, kernel, multiplier).eval()
    x = torch.rand(2, 4, 5, 6)
    assert block(x).shape == x.shape
    assert block.depthwise.groups == 4
    assert block.depthwise.out_channels == 4 * multiplier


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("kernel", [3, 4])
def test_padding_is_pytorchs_same(kernel: int) -> None:
    """Of an even kernel one pixel more at the far side."""
    block = MixerBlock(2, kernel, 1).eval()
    x = torch.rand(2, 2, 7, 7)
    seen = []
    block.activation.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    block(x)
    weight, bias = block.depthwise.weight, block.depthwise.bias
    torch.testing.assert_close(seen[0], F.conv2d(x, weight, bias, padding="same", groups=2))


def test_the_skip_goes_around_the_depthwise_part() -> None:
    """Each channel is repeated where the part has several outputs for it."""
    block = MixerBlock(2, 3, 2).eval()
    nn.init.zeros_(block.depthwise.weight)
    nn.init.zeros_(block.depthwise.bias)
    x = torch.rand(1, 2, 4, 4)
    mixed = F.conv2d(x[:, [0, 0, 1, 1]], block.pointwise.weight, block.pointwise.bias)
    expected = F.gelu(mixed) / (1 + block.norm2.eps) ** 0.5
    torch.testing.assert_close(block(x), expected)


def test_the_papers_parameters() -> None:
    """Width 128, kernel 8, patch 1: embedding, blocks and head, biases and norms included."""
    net = ConvMixer(128, 4, 8, 1, 10)
    block = 128 * 64 + 128 + 256 + 128 * 128 + 128 + 256
    embedding, head = 3 * 128 + 128 + 256, 128 * 10 + 10
    assert sum(p.numel() for p in net.parameters()) == embedding + 4 * block + head


def test_patches_shrink_the_map() -> None:
    """Of any size that is not below one patch, square or not."""
    net = ConvMixer(4, 1, 3, 4, 7, in_channels=1).eval()
    assert net.embedding(torch.rand(1, 1, 9, 12)).shape == (1, 4, 2, 3)
    assert net(torch.rand(3, 1, 4, 4)).shape == (3, 7)
