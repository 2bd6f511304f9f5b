"""Find the spatial and channel mixers of a network, set their filters, freeze them.

A *spatial mixer* combines positions within one channel (a depthwise convolution); a
*channel mixer* combines channels at one position (a 1x1 convolution). The first
convolution is a *patch embedding* when its kernel equals its stride: it only cuts the
image into patches and counts as neither. Vocabulary and variants: Cazenavette, Julin,
Lucey, "Rethinking the Role of Spatial Mixing" (arXiv 2503.16760).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from robustbench_mix.config.model import Spatial
from robustbench_mix.models.filters import spatial_filters


def owns_weight(module: nn.Module) -> bool:
    """Return whether the weight of a layer is a parameter, not computed from others."""
    return module._parameters.get("weight") is not None


def patch_embedding(model: nn.Module) -> nn.Conv2d | None:
    """Return the first convolution if it only cuts the image into patches (kernel = stride)."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            return module if module.kernel_size == module.stride else None
    return None


def spatial_mixers(model: nn.Module) -> Iterator[nn.Conv2d]:
    """Yield the depthwise convolutions of `model` that own their weights, in order."""
    embedding = patch_embedding(model)
    for module in model.modules():
        if (
            isinstance(module, nn.Conv2d)
            and module is not embedding
            and owns_weight(module)
            and max(module.kernel_size) > 1
            and module.groups == module.in_channels
        ):
            yield module


def channel_mixers(model: nn.Module) -> Iterator[nn.Conv2d]:
    """Yield the 1x1 convolutions of `model` that are not its patch embedding, in order."""
    embedding = patch_embedding(model)
    for module in model.modules():
        if (
            isinstance(module, nn.Conv2d)
            and module is not embedding
            and module.kernel_size == (1, 1)
        ):
            yield module


def set_mixers(model: nn.Module, spatial: Spatial, channel: str) -> nn.Module:
    """Set the filters of every spatial mixer and freeze mixers that are not trained, in place.

    The filters are a function of the initial ones, without random draws, so that all variants of
    one seed share every other initial weight. Biases of frozen mixers are frozen too.

    Args:
        model: The network.
        spatial: The mode of the spatial mixers.
        channel: `learned` or `frozen`, for the channel mixers.

    Returns:
        The same network.

    Raises:
        RbmixError: The kernels are too small for the mode.
    """
    for conv in spatial_mixers(model):
        with torch.no_grad():
            conv.weight.copy_(spatial_filters(conv, spatial))
        if spatial.mode != "learned":
            conv.requires_grad_(False)
    if channel == "frozen":
        for conv in channel_mixers(model):
            conv.requires_grad_(False)
    return model


def count_trainable(model: nn.Module) -> int:
    """Return the number of parameters that training changes."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
