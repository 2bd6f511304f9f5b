"""The filters of the static spatial mixers: shared, constant, a single tap, a bank, low-passed.

Filters are functions of the initial ones, without random draws: weights that the variants share
stay equal.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from robustbench_mix.config.model import Spatial
from robustbench_mix.errors import RbmixError
from robustbench_mix.models.gaussian_bank import gaussian_bank


def spatial_filters(conv: nn.Conv2d, spatial: Spatial) -> Tensor:
    """Return the filters of a depthwise convolution under a spatial mode.

    Args:
        conv: The convolution as initialised, weight (in_channels x multiplier, 1, k, k).
        spatial: The mode.

    Returns:
        Filters like its weight.

    Raises:
        RbmixError: If `smoothed:S` keeps more coefficients than a kernel has, or kernels are too
            small for `gaussian`.
    """
    if spatial.mode == "smoothed":
        return low_pass(conv.weight, spatial.keep, rescale=spatial.rescaled)
    if spatial.mode in STATIC:
        return STATIC[spatial.mode](conv)
    return conv.weight


def _same(conv: nn.Conv2d) -> Tensor:
    """Use the filters of the first channel for every channel."""
    multiplier = conv.weight.shape[0] // conv.in_channels
    return conv.weight[:multiplier].repeat(conv.in_channels, 1, 1, 1)


def _single(conv: nn.Conv2d) -> Tensor:
    """Use one filter for every channel and multiplier."""
    return conv.weight[:1].expand_as(conv.weight)


def _repeated(conv: nn.Conv2d) -> Tensor:
    """Use one filter for each channel, out of as many filters as the multiplier, in turn."""
    multiplier = conv.weight.shape[0] // conv.in_channels
    kinds = torch.arange(conv.in_channels, device=conv.weight.device) % multiplier
    return conv.weight[kinds.repeat_interleave(multiplier)]


def _box(conv: nn.Conv2d) -> Tensor:
    """Take the mean over the kernel."""
    height, width = conv.kernel_size
    return torch.full_like(conv.weight, 1 / (height * width))


def _identity(conv: nn.Conv2d) -> Tensor:
    """Keep the pixel itself."""
    height, width = conv.kernel_size
    delta = torch.zeros_like(conv.weight)
    # "Same" padding puts (k - 1) // 2 zeros before the image, for even k too.
    delta[:, :, (height - 1) // 2, (width - 1) // 2] = 1
    return delta


def _impulse(conv: nn.Conv2d) -> Tensor:
    """Take one pixel of the neighbourhood: where the random filter is largest."""
    flat = conv.weight.flatten(1)
    taps = torch.zeros_like(flat)
    taps.scatter_(1, flat.abs().argmax(1, keepdim=True), 1.0)
    return taps.view_as(conv.weight)


def _gaussian(conv: nn.Conv2d) -> Tensor:
    """Use the filters of the fixed bank in turn (`gaussian_bank`)."""
    height, width = conv.kernel_size
    if min(height, width) < 3:
        raise RbmixError(
            f"spatial 'gaussian': this model's filters are {height}x{width}, derivatives need 3x3"
        )
    bank = gaussian_bank(*conv.kernel_size).to(conv.weight)
    return bank[torch.arange(conv.weight.shape[0]) % len(bank)][:, None]


STATIC: dict[str, Callable[[nn.Conv2d], Tensor]] = {
    "same": _same,
    "single": _single,
    "repeated": _repeated,
    "box": _box,
    "identity": _identity,
    "impulse": _impulse,
    "gaussian": _gaussian,
}


def low_pass(weight: Tensor, keep: int, *, rescale: bool = False) -> Tensor:
    """Low-pass filters by keeping their lowest DCT-II coefficients.

    The truncation fits the smoothed filters shown in the paper, which does not say whether norms
    are restored.

    Args:
        weight: Filters (..., k, k).
        keep: Number of rows and of columns of coefficients to keep.
        rescale: Whether to restore the l2 norm of each filter.

    Returns:
        Filters (..., k, k).

    Raises:
        RbmixError: `keep` is not in 1..k.
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
    """Return the orthonormal DCT-II matrix, (size, size): row i is the i-th frequency."""
    position = torch.arange(size, device=like.device, dtype=torch.float64)
    frequency = position[:, None]
    matrix = torch.cos(math.pi * frequency * (2 * position + 1) / (2 * size))
    matrix *= math.sqrt(2 / size)
    matrix[0] /= math.sqrt(2)
    return matrix.to(like.dtype)
