"""What stands between pixels in [0, 1] and a network that wants them otherwise."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from robustbench_mix.data.shape import scaled_sides


class Normalized(nn.Module):
    """A network behind per-channel standardisation, kept in buffers.

    (B, C, H, W) pixels in [0, 1] -> (B, classes) logits. With `input_size`, images are
    resized first, bilinearly, so that their shorter side has that many pixels. It is part of
    the network that is attacked: perturbations live in the pixels of the data.
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
        self.channels_last = channels_last  # whether it runs fastest in that memory format
        self.register_buffer("mean", mean.reshape(1, -1, 1, 1))
        self.register_buffer("std", std.reshape(1, -1, 1, 1))
        self.input_size = input_size
        if input_size is not None:  # a buffer too: another size is another function, another hash
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
    # Shrinking averages over all pixels: without that, those between the samples would not count.
    return F.interpolate(x, target, mode="bilinear", align_corners=False, antialias=size < shorter)
