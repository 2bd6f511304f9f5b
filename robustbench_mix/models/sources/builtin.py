"""The networks of rbmix itself: the paper's ResNets and ConvMixers, and torchvision's ResNets."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from robustbench_mix.config.catalog import architecture
from robustbench_mix.data.shape import Shape
from robustbench_mix.errors import RbmixError
from robustbench_mix.models.convmixer import ConvMixer
from robustbench_mix.models.resnet import ResNet
from robustbench_mix.models.separable import separate
from robustbench_mix.models.sources.common import Pretrained
from robustbench_mix.runtime import plugins

COMES_WITH_WEIGHTS = False


def check(name: str) -> None:
    """Raise RbmixError for an unknown name, and for a name that another package registers too."""
    builder_for(name)
    plugins.check_not_taken("model", name, [name])


def build(name: str, shape: Shape) -> nn.Module:
    """Build the named architecture for a shape."""
    return builder_for(name)(shape)


def load_pretrained(name: str) -> Pretrained:
    """Raise RbmixError: these networks are published without weights."""
    raise RbmixError(f"model {name!r} has no published weights: rbmix trains it")


def builder_for(name: str) -> Callable[[Shape], nn.Module]:
    """Return a function that builds the named architecture for a shape.

    Raises:
        RbmixError: The name is unknown; the message suggests the nearest one.
    """
    kind, first, second, given = architecture(name)
    if kind == "convmixer":
        width, depth, kernel, patch = (
            (128, first, 8, 1) if second is None else (first, second, 5, 2)
        )
        return lambda shape: _convmixer(
            name,
            shape,
            width,
            depth,
            given.get("k", kernel),
            given.get("p", patch),
            given.get("d", 1),
        )
    if first in (18, 34):
        return lambda shape: _torchvision_resnet(first, shape, given.get("d"))
    return lambda shape: ResNet(
        (first - 2) // 6,
        shape.classes,
        shape.channels,
        width=given.get("w", 16),
        multiplier=given.get("d", 9),
    )


def _convmixer(
    name: str, shape: Shape, width: int, depth: int, kernel: int, patch: int, multiplier: int
) -> nn.Module:
    if patch > shape.size:
        raise RbmixError(
            f"model {name!r}: patch {patch} is larger than the image ({shape.size} pixels)"
        )
    return ConvMixer(width, depth, kernel, patch, shape.classes, shape.channels, multiplier)


def _torchvision_resnet(depth: int, shape: Shape, multiplier: int | None) -> nn.Module:
    """Build torchvision's ResNet; for images up to 64 pixels with a 3x3 stem without pooling."""
    import torchvision

    net: nn.Module = getattr(torchvision.models, f"resnet{depth}")(
        weights=None, num_classes=shape.classes
    )
    if shape.size <= 64:
        net.conv1 = nn.Conv2d(shape.channels, 64, 3, padding=1, bias=False)
        net.maxpool = nn.Identity()
    elif shape.channels != 3:
        net.conv1 = nn.Conv2d(shape.channels, 64, 7, stride=2, padding=3, bias=False)
    return separate(net, multiplier)
