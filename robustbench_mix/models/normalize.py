"""Resize and normalise pixels in [0, 1] inside the network."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from robustbench_mix.data.shape import scaled_sides


class Normalized(nn.Module):
    """A network with normalisation, and possibly resizing, in front of it.

    Shapes: (B, C, H, W) pixels in [0, 1] -> (B, classes) logits. Both steps are part of the network
    that is attacked: perturbations are in the pixels of the data.

    Args:
        net: The network, which takes normalised images.
        mean: Per-channel mean: one value, or one per channel; kept as a buffer.
        std: Per-channel standard deviation: one value, or one per channel; kept as a buffer.
        input_size: Images are resized bilinearly so that their shorter side has that many pixels;
            None keeps their size.
        channels_last: Whether the network runs fastest in that memory format.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        net: nn.Module,
        mean: Tensor,
        std: Tensor,
        input_size: int | None = None,
        *,
        channels_last: bool = True,
    ) -> None:
        super().__init__()
        self.net = net
        self.channels_last = channels_last
        self.register_buffer("mean", mean.reshape(1, -1, 1, 1))
        self.register_buffer("std", std.reshape(1, -1, 1, 1))
        self.input_size = input_size
        if input_size is not None:  # a buffer, so that another size gives another hash
            self.register_buffer("size", torch.tensor(input_size))

    def forward(self, x: Tensor) -> Tensor:
        if self.input_size is not None:
            x = _resize(x, self.input_size)
        logits: Tensor = self.net((x - self.mean) / self.std)
        return logits


def _resize(x: Tensor, size: int) -> Tensor:
    shorter = min(x.shape[2:])
    if size == shorter:
        return x
    target = scaled_sides(x.shape[2], x.shape[3], size)
    # Shrinking averages over all pixels; otherwise those between the samples would have no effect.
    return F.interpolate(x, target, mode="bilinear", align_corners=False, antialias=size < shorter)
