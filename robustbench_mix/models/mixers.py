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
    """Whether a layer's weight is a parameter, not computed from others (a weight norm)."""
    return module._parameters.get("weight") is not None


def patch_embedding(model: nn.Module) -> nn.Conv2d | None:
    """The first convolution, if it only cuts the image into patches (kernel = stride)."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            return module if module.kernel_size == module.stride else None
    return None


def spatial_mixers(model: nn.Module) -> Iterator[nn.Conv2d]:
    """The depthwise convolutions of `model`, in order, but for weights that are computed."""
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
    """The 1x1 convolutions of `model` that are not its patch embedding, in order."""
    embedding = patch_embedding(model)
    for module in model.modules():
        if (
            isinstance(module, nn.Conv2d)
            and module is not embedding
            and module.kernel_size == (1, 1)
        ):
            yield module


def set_mixers(model: nn.Module, spatial: Spatial, channel: str) -> nn.Module:
    """Choose the filters of every spatial mixer and freeze what is not to be trained.

    The filters are a function of the initial ones and draw nothing, so that all variants
    built from one seed share every other initial weight. Freezing covers the biases.

    Raises RbmixError if `smoothed:S` keeps more coefficients than a kernel has.
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
    """Number of parameters that training would change."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
