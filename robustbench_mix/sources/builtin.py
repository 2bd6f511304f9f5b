"""The networks of rbmix itself: the paper's ResNets and ConvMixers, and torchvision's ResNets."""

from __future__ import annotations

import re
from collections.abc import Callable

from torch import nn

from robustbench_mix import plugins
from robustbench_mix.convmixer import ConvMixer
from robustbench_mix.errors import RbmixError, unknown
from robustbench_mix.mixing import separate
from robustbench_mix.names import MODELS
from robustbench_mix.resnet import ResNet
from robustbench_mix.shapes import Shape
from robustbench_mix.sources.common import FORMS, Published

BRINGS_WEIGHTS = False
GRAMMAR = (
    "resnetN and convmixerWIDTH_DEPTH take suffixes: _w width, _d depth multiplier, "
    "_k kernel, _p patch, as in resnet14_d4 or convmixer64_6_k7_p1"
)


def check(name: str) -> None:
    """Raise RbmixError, with the nearest known name, for anything else.

    And for a name that another package registers too.
    """
    parse_name(name)
    plugins.check_free("model", name, [name])


def knows(name: str) -> bool:
    """Whether `parse_name` takes it."""
    try:
        parse_name(name)
    except RbmixError:
        return False
    return True


def fresh(name: str, shape: Shape) -> nn.Module:
    """The named architecture for a shape."""
    return parse_name(name)(shape)


def published(name: str) -> Published:
    """Raises RbmixError: these have no weights but those that are trained here."""
    raise RbmixError(f"model {name!r} has no published weights: rbmix trains it")


def parse_name(name: str) -> Callable[[Shape], nn.Module]:
    """A function that builds the named architecture for a shape.

    Raises RbmixError, with the nearest known name, for anything else.
    """
    match = re.fullmatch(r"(resnet|convmixer)(\d{1,4})(?:_(\d{1,3}))?((?:_[wdkp]\d{1,3})*)", name)
    if not match:
        raise unknown("model", name, [*MODELS, *plugins.models()], also=f"or {FORMS}")
    kind, first, second = match[1], int(match[2]), match[3]
    options = [(part[0], int(part[1:])) for part in match[4].split("_") if part]
    given = dict(options)
    if len(given) < len(options) or 0 in given.values() or first == 0 or second == "0":
        raise RbmixError(f"model {name!r}: a suffix is repeated or zero ({GRAMMAR})")
    if kind == "convmixer" and not given.keys() - set("dkp"):
        width, depth, kernel, patch = (
            (128, first, 8, 1) if second is None else (first, int(second), 5, 2)
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
    if f"resnet{first}" in MODELS and second is None:
        if first in (18, 34) and not given.keys() - {"d"}:
            return lambda shape: _torchvision_resnet(first, shape, given.get("d"))
        if first not in (18, 34) and not given.keys() - {"w", "d"}:
            return lambda shape: ResNet(
                (first - 2) // 6,
                shape.classes,
                shape.channels,
                width=given.get("w", 16),
                multiplier=given.get("d", 9),
            )
    raise unknown("model", name, MODELS, also=GRAMMAR)


def _convmixer(
    name: str, shape: Shape, width: int, depth: int, kernel: int, patch: int, multiplier: int
) -> nn.Module:
    if patch > shape.size:
        raise RbmixError(
            f"model {name!r}: patch {patch} is larger than the image ({shape.size} pixels)"
        )
    return ConvMixer(width, depth, kernel, patch, shape.classes, shape.channels, multiplier)


def _torchvision_resnet(depth: int, shape: Shape, multiplier: int | None) -> nn.Module:
    """torchvision's ResNet; images of 64 pixels or less get a 3x3 stem without pooling."""
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
