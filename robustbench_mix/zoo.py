"""Names to networks: the paper's ResNets and ConvMixers, torchvision's, and the user's.

Everything built here maps pixels in [0, 1] to logits; normalisation lives inside.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from robustbench_mix.convmixer import ConvMixer
from robustbench_mix.errors import RbmixError, first_line, unknown
from robustbench_mix.mixing import count_trainable, separate, set_mixing
from robustbench_mix.resnet import ResNet
from robustbench_mix.specs import ModelSpec, check_channel, parse_spatial
from robustbench_mix.splits import Dataset

MODELS = {
    "resnet14": "the paper's CIFAR ResNet, n = 2",
    "resnet20": "the paper's CIFAR ResNet, n = 3",
    "resnet26": "the paper's CIFAR ResNet, n = 4",
    "resnet32": "the paper's CIFAR ResNet, n = 5",
    "resnet38": "the paper's CIFAR ResNet, n = 6",
    "resnet18": "torchvision's ResNet-18, every spatial convolution made separable",
    "resnet34": "torchvision's ResNet-34, every spatial convolution made separable",
    "convmixer4": "the paper's ConvMixer: width 128, kernel 8, patch 1, depth 4",
    "convmixer6": "the paper's ConvMixer: width 128, kernel 8, patch 1, depth 6",
    "convmixer8": "the paper's ConvMixer: width 128, kernel 8, patch 1, depth 8",
    "convmixer256_8": "ConvMixer 256/8 of its authors: kernel 5, patch 2",
}
MAX_PARAMETERS = 10**9
GRAMMAR = (
    "resnetN and convmixerWIDTH_DEPTH take suffixes: _w width, _d depth multiplier, "
    "_k kernel, _p patch, as in resnet14_d4 or convmixer64_6_k7_p1"
)


@dataclass(frozen=True)
class Shape:
    """What a network must fit: colour channels, shorter image side in pixels, classes."""

    channels: int
    size: int
    classes: int


def shape_of(dataset: Dataset) -> Shape:
    """What a network for this data set must fit."""
    return Shape(dataset.channels, dataset.size, len(dataset.classes))


class Normalized(nn.Module):
    """A network behind per-channel standardisation, kept in buffers.

    (B, C, H, W) pixels in [0, 1] -> (B, classes) logits.
    """

    mean: Tensor
    std: Tensor
    channels_last = True  # the memory format it runs fastest in

    def __init__(self, net: nn.Module, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("mean", mean.reshape(1, -1, 1, 1))
        self.register_buffer("std", std.reshape(1, -1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.net((x - self.mean) / self.std)
        return logits


def family(name: str) -> str:
    """The family a model name belongs to, `resnet` or `convmixer`; checks the name."""
    parse_name(name)
    return "convmixer" if name.startswith("convmixer") else "resnet"


def parse_name(name: str) -> Callable[[Shape], nn.Module]:
    """A function that builds the named architecture for a shape.

    Raises RbmixError, with the nearest known name, for anything else.
    """
    match = re.fullmatch(r"(resnet|convmixer)(\d{1,4})(?:_(\d{1,3}))?((?:_[wdkp]\d{1,3})*)", name)
    if not match:
        raise unknown("model", name, MODELS, also="or package.module:callable")
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


def build(spec: ModelSpec, shape: Shape, mean: Tensor, std: Tensor) -> Normalized:
    """A fresh network for `spec`, on the CPU, with normalisation by mean and std (C,).

    Every weight is drawn from `spec.seed` before the mixers are set, so that variants of
    one seed share all initial weights they have in common. The caller's random state is
    left alone.
    """
    make = parse_name(spec.model)
    check_size(spec.model, partial(make, shape))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(spec.seed)
        net = make(shape)
    set_mixing(net, parse_spatial(spec.spatial), check_channel(spec.channel))
    return Normalized(net, mean.clone(), std.clone())


def check_size(name: str, make: Callable[[], nn.Module]) -> None:
    """Raise RbmixError if the network has more parameters than `MAX_PARAMETERS`."""
    with torch.device("meta"):  # shapes without storage
        count = sum(parameter.numel() for parameter in make().parameters())
    if count > MAX_PARAMETERS:
        raise RbmixError(
            f"model {name!r} has {count:,} parameters (allowed: up to {MAX_PARAMETERS:,})"
        )


def trainable_parameters(name: str, shape: Shape | None = None) -> dict[str, int]:
    """Trainable parameters of `full`, `chans` and `space`; CIFAR-10's shape by default."""
    shape = shape or Shape(channels=3, size=32, classes=10)
    variants = {
        "full": ("learned", "learned"),
        "chans": ("frozen", "learned"),
        "space": ("learned", "frozen"),
    }
    counts = {}
    for variant, (spatial, channel) in variants.items():
        with torch.device("meta"):  # shapes without storage: nothing is drawn
            net = parse_name(name)(shape)
        counts[variant] = count_trainable(set_mixing(net, parse_spatial(spatial), channel))
    return counts


def from_callable(path: str) -> nn.Module:
    """Import `package.module:callable`, call it, and return the module it gives.

    The current folder is searched first, as `python -m` does. Raises RbmixError if the
    name cannot be imported or does not give an `nn.Module`.
    """
    module_name, _, attribute = path.partition(":")
    if not (module_name and attribute):
        raise RbmixError(f"model {path!r} is not of the form package.module:callable")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        target = importlib.import_module(module_name)
        for part in attribute.split("."):
            target = getattr(target, part)
    except Exception as error:  # whatever the user's module raises
        raise RbmixError(f"cannot import model {path!r}: {_said(error)}") from error
    if not callable(target):
        raise RbmixError(f"model {path!r} is not callable")
    try:
        model = target if isinstance(target, nn.Module) else target()
    except Exception as error:
        raise RbmixError(f"model {path!r} cannot be made: {_said(error)}") from error
    if not isinstance(model, nn.Module):
        raise RbmixError(f"model {path!r} returned {type(model).__name__}, not an nn.Module")
    return model


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {first_line(error)}"


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
