"""ConvMixer, at any width, depth, kernel and patch.

The paper's networks have width 128, kernel 8, patch 1, and depth 4, 6 or 8. Convolutions have
biases, as its parameter counts show; an even kernel pads one pixel more at the far side.

Source: Trockman & Kolter, arXiv 2201.09792.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class MixerBlock(nn.Module):
    """Depthwise convolution with a skip, then pointwise; GELU and norm after each."""

    def __init__(self, width: int, kernel: int, multiplier: int) -> None:
        super().__init__()
        inner = width * multiplier
        # PyTorch's padding="same" warns about even kernels; this is what it does.
        before, after = (kernel - 1) // 2, kernel // 2
        self.border = (before, after, before, after) if before != after else None
        self.depthwise = nn.Conv2d(
            width, inner, kernel, groups=width, padding=0 if self.border else before
        )
        self.norm1 = nn.BatchNorm2d(inner)
        self.pointwise = nn.Conv2d(inner, width, 1)
        self.norm2 = nn.BatchNorm2d(width)
        self.activation = nn.GELU()
        self.multiplier = multiplier

    def forward(self, x: Tensor) -> Tensor:
        padded = F.pad(x, self.border) if self.border else x
        y = self.norm1(self.activation(self.depthwise(padded)))
        skip = x if self.multiplier == 1 else x.repeat_interleave(self.multiplier, dim=1)
        z: Tensor = self.norm2(self.activation(self.pointwise(y + skip)))
        return z


class ConvMixer(nn.Module):
    """ConvMixer, (B, in_channels, H, W) -> (B, classes); H and W are at least `patch`."""

    def __init__(
        self,
        width: int,
        depth: int,
        kernel: int,
        patch: int,
        classes: int,
        in_channels: int = 3,
        multiplier: int = 1,
    ) -> None:
        super().__init__()
        self.embedding = nn.Sequential(
            nn.Conv2d(in_channels, width, patch, stride=patch), nn.GELU(), nn.BatchNorm2d(width)
        )
        self.blocks = nn.Sequential(*(MixerBlock(width, kernel, multiplier) for _ in range(depth)))
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        y = self.blocks(self.embedding(x))
        logits: Tensor = self.head(y.mean((2, 3)))
        return logits
