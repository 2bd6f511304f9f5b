"""Buffers that a pass changes come back."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from robustbench_mix.models.buffers import keep_buffers


class Remembers(nn.Module):
    """Counts its passes, and keeps the last images."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1)
        self.register_buffer("last", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.last = x
        return self.norm(x)


def test_values_and_shapes_come_back_also_after_an_error() -> None:
    """Of a network that keeps statistics and images."""
    net = Remembers()
    before = {name: buffer.clone() for name, buffer in net.named_buffers()}
    with pytest.raises(ValueError, match="cable"), keep_buffers(net):
        net(torch.rand(2, 1, 3, 3))
        assert net.last.shape == (2, 1, 3, 3)
        raise ValueError("broken cable")
    after = dict(net.named_buffers())
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_buffers_of_inference_mode_are_left_alone() -> None:
    """They cannot have changed, and must not be written to."""
    with torch.inference_mode():
        net = nn.BatchNorm2d(1).eval()
    with keep_buffers(net), torch.inference_mode():
        net(torch.rand(2, 1, 3, 3))
    assert float(net.running_mean) == 0


def test_buffers_without_values() -> None:
    """On the device meta, where networks are looked at before they are made."""
    net = nn.BatchNorm2d(1, device="meta").eval()
    with keep_buffers(net):
        net(torch.rand(2, 1, 3, 3, device="meta"))
    assert net.running_mean.is_meta
