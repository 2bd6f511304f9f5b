"""The paper's ResNets: their layers, strides and shortcuts."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from robustbench_mix.models.resnet import PreActBlock, ResNet
from robustbench_mix.models.separable import SeparableConv2d


@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_the_depth_is_six_n_and_two(blocks: int) -> None:
    """Every convolution separable, and a linear head; widths double with each stage."""
    net = ResNet(blocks, 10, width=4, multiplier=1)
    convolutions = [m for m in net.modules() if isinstance(m, SeparableConv2d)]
    assert len(convolutions) + 1 == 6 * blocks + 2
    widths = [block.conv2.pointwise.out_channels for block in net.blocks]
    assert widths == [4] * blocks + [8] * blocks + [16] * blocks
    strides = [block.stride for block in net.blocks]
    assert [at for at, stride in enumerate(strides) if stride == 2] == [blocks, 2 * blocks]


def test_the_papers_parameters() -> None:
    """As printed in arXiv 2503.16760, n = 2."""
    assert sum(p.numel() for p in ResNet(2, 10).parameters()) == 205_149


def silent(block: PreActBlock) -> PreActBlock:
    """The block without its convolutions: the shortcut alone."""
    nn.init.zeros_(block.conv2.pointwise.weight)
    return block.eval()


def test_shortcuts_have_no_parameters() -> None:
    """The image itself; every second pixel, and zeros for the channels that are new."""
    x = torch.rand(2, 3, 6, 5)
    assert torch.equal(silent(PreActBlock(3, 3, 1, 2))(x), x)
    found = silent(PreActBlock(3, 5, 2, 2))(x)
    assert torch.equal(found[:, :3], x[:, :, ::2, ::2])
    assert found.shape == (2, 5, 3, 3)
    assert not found[:, 3:].any()


def test_norm_and_activation_come_first() -> None:
    """What is below zero everywhere gives nothing but the shortcut."""
    block = PreActBlock(3, 3, 1, 2).eval()
    x = -torch.rand(2, 3, 6, 6)
    assert torch.equal(block(x), x)
    assert not torch.equal(block(-x), -x)


def test_logits_are_means_over_the_last_map() -> None:
    """For images of any size and number of channels."""
    net = ResNet(1, 7, in_channels=1, width=4, multiplier=1).eval()
    x = torch.rand(2, 1, 9, 12)
    seen = []
    net.norm.register_forward_hook(lambda _, given, made: seen.append(made))
    logits = net(x)
    assert logits.shape == (2, 7)
    assert seen[0].shape == (2, 16, 3, 3)
    torch.testing.assert_close(logits, net.head(F.relu(seen[0]).mean((2, 3))))
