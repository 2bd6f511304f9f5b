"""The paper's CIFAR ResNets: pre-activation, 6n+2 layers, every convolution separable.

Widths 16, 32, 64; parameter-free shortcuts; no norm, bias or activation between the
depthwise and the pointwise part. Recovered from the parameter counts printed in
arXiv 2503.16760 (Full 205,149 trainable parameters at n = 2). The stride sits in the
depthwise part, which the paper leaves open.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from robustbench_mix.models.separable import SeparableConv2d


class PreActBlock(nn.Module):
    """Norm, ReLU, convolution, twice, added to the input (He et al., arXiv 1603.05027)."""

    def __init__(self, width_in: int, width: int, stride: int, multiplier: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(width_in)
        self.conv1 = SeparableConv2d(
            width_in, width, 3, stride=stride, padding=1, multiplier=multiplier
        )
        self.norm2 = nn.BatchNorm2d(width)
        self.conv2 = SeparableConv2d(width, width, 3, padding=1, multiplier=multiplier)
        self.stride = stride
        self.new_channels = width - width_in

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(F.relu(self.norm1(x)))
        y = self.conv2(F.relu(self.norm2(y)))
        # Every second pixel, by pooling: the gradient of a slice would change the memory layout.
        shortcut = x if self.stride == 1 else F.avg_pool2d(x, 1, self.stride)
        if self.new_channels:
            shortcut = F.pad(shortcut, (0, 0, 0, 0, 0, self.new_channels))
        return y + shortcut  # type: ignore[no-any-return]


class ResNet(nn.Module):
    """A CIFAR ResNet of `6 * blocks + 2` layers: (B, in_channels, H, W) -> (B, classes)."""

    def __init__(
        self,
        blocks: int,
        classes: int,
        in_channels: int = 3,
        width: int = 16,
        multiplier: int = 9,
    ) -> None:
        super().__init__()
        self.stem = SeparableConv2d(in_channels, width, 3, padding=1, multiplier=multiplier)
        stages: list[nn.Module] = []
        width_in = width
        for stage, width_out in enumerate((width, 2 * width, 4 * width)):
            for block in range(blocks):
                stride = 2 if stage > 0 and block == 0 else 1
                stages.append(PreActBlock(width_in, width_out, stride, multiplier))
                width_in = width_out
        self.blocks = nn.Sequential(*stages)
        self.norm = nn.BatchNorm2d(width_in)
        self.head = nn.Linear(width_in, classes)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm(self.blocks(self.stem(x))))
        logits: Tensor = self.head(y.mean((2, 3)))
        return logits
