"""The filters of the static spatial mixers: shared, constant, delta, low-passed.

A function of the initial filters, without draws: what the variants have in common stays so.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from robustbench_mix.config.model import Spatial
from robustbench_mix.errors import RbmixError


def spatial_filters(conv: nn.Conv2d, spatial: Spatial) -> Tensor:
    """The filters of a depthwise convolution under a spatial mode, like its weight.

    Raises RbmixError if `smoothed:S` keeps more coefficients than a kernel has.
    """
    weight = conv.weight
    height, width = conv.kernel_size
    if spatial.mode == "same":
        # The first channel's filters serve every input channel.
        per_channel = weight.shape[0] // conv.in_channels
        return weight[:per_channel].repeat(conv.in_channels, 1, 1, 1)
    if spatial.mode == "box":
        return torch.full_like(weight, 1 / (height * width))
    if spatial.mode == "identity":
        # "Same" padding puts (k - 1) // 2 zeros before the image, for even k too.
        delta = torch.zeros_like(weight)
        delta[:, :, (height - 1) // 2, (width - 1) // 2] = 1
        return delta
    if spatial.mode == "smoothed":
        return low_pass(weight, spatial.keep, rescale=spatial.rescaled)
    return weight


def low_pass(weight: Tensor, keep: int, *, rescale: bool = False) -> Tensor:
    """Low-pass filters (..., k, k): keep the lowest `keep` x `keep` DCT-II coefficients.

    `rescale` restores each filter's l2 norm. The truncation is what fits the smoothed
    filters drawn in the paper; whether it rescales is not stated there.

    Raises RbmixError unless 1 <= keep <= k.
    """
    height, width = weight.shape[-2:]
    if not 1 <= keep <= min(height, width):
        raise RbmixError(
            f"spatial 'smoothed:{keep}': this model's filters are {height}x{width}, "
            f"so S is between 1 and {min(height, width)}"
        )
    low_rows = _dct(height, weight)[:keep]
    low_columns = _dct(width, weight)[:keep]
    smoothed = low_rows.T @ (low_rows @ weight @ low_columns.T) @ low_columns
    if rescale:
        norm = weight.flatten(-2).norm(dim=-1)[..., None, None]
        smoothed_norm = smoothed.flatten(-2).norm(dim=-1)[..., None, None]
        smoothed = smoothed * (norm / smoothed_norm.clamp_min(torch.finfo(weight.dtype).tiny))
    return smoothed


def _dct(size: int, like: Tensor) -> Tensor:
    """The orthonormal DCT-II matrix, (size, size): row i is the i-th frequency."""
    position = torch.arange(size, device=like.device, dtype=torch.float64)
    frequency = position[:, None]
    matrix = torch.cos(math.pi * frequency * (2 * position + 1) / (2 * size))
    matrix *= math.sqrt(2 / size)
    matrix[0] /= math.sqrt(2)
    return matrix.to(like.dtype)
