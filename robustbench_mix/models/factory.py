"""Build networks from model words: for a data set, with mixers set and normalisation inside.

Every network built here maps pixels in [0, 1] to logits. `sources.registry` provides the
architectures.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from robustbench_mix.config.model import Interface, ModelSpec, check_channel, parse_spatial
from robustbench_mix.data.shape import Shape, run_on_blank_image, scaled_sides, shape_of
from robustbench_mix.errors import RbmixError
from robustbench_mix.models.given import adapt
from robustbench_mix.models.mixers import (
    channel_mixers,
    count_trainable,
    set_mixers,
    spatial_mixers,
)
from robustbench_mix.models.normalize import Normalized
from robustbench_mix.models.separable import separate
from robustbench_mix.models.sources import registry
from robustbench_mix.runtime.progress import report_if_slow

MAX_PARAMETERS = 10**9

__all__ = [
    "Normalized",
    "Shape",
    "build",
    "build_on_meta_device",
    "build_without_normalization",
    "check_parameter_count",
    "fit",
    "shape_of",
    "trainable_parameters",
    "wrap_normalized",
]


def build(spec: ModelSpec, shape: Shape, mean: Tensor, std: Tensor) -> Normalized:
    """Build an untrained network on the CPU.

    Every weight is drawn from `spec.seed` before the mixers are set, so that variants of one seed
    share all initial weights they have in common. The caller's random state is not changed.

    Args:
        spec: The network; its interface takes precedence over the data set.
        shape: The shape of the data set.
        mean: Mean of the pixels per channel, (C,).
        std: Standard deviation of the pixels per channel, (C,).

    Returns:
        The network, (B, C, H, W) pixels in [0, 1] -> (B, classes) logits.

    Raises:
        RbmixError: As `build_without_normalization`.
    """
    return wrap_normalized(
        build_without_normalization(spec, shape),
        spec.interface or Interface(),
        mean.clone(),
        std.clone(),
    )


def build_without_normalization(spec: ModelSpec, shape: Shape) -> nn.Module:
    """Build an untrained network without normalisation: separated, and with its mixers set.

    Raises:
        RbmixError: The architecture cannot take such images, or lacks the mixers that `spec`
            changes.
    """
    with report_if_slow(f"building {spec.model}"):
        return _build_network(spec, input_shape(spec, shape))


def _build_network(spec: ModelSpec, shape: Shape) -> nn.Module:
    """Build the network for the shape of its own input."""
    origin = registry.parse(spec.model)
    spatial, channel = parse_spatial(spec.spatial), check_channel(spec.channel)
    if origin.is_builtin:
        check_parameter_count(spec.model, partial(origin.build, shape))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(spec.seed)
        net = origin.build(shape)
        if not origin.is_builtin:
            separate(net).to(memory_format=torch.channels_last)
            net, outputs = fit(net, shape, spec.model)
            check_output_count(outputs, shape, spec.model)
    for option, mode, mixers, what in (
        ("spatial", spec.spatial, spatial_mixers, "depthwise or dense spatial convolution"),
        ("channel", channel, channel_mixers, "1x1 or dense spatial convolution"),
    ):
        if mode != "learned" and not any(mixers(net)):
            raise RbmixError(
                f"model {spec.model!r} has nothing for --{option} {mode} to set: no {what} "
                "(rbmix describe shows what it has)"
            )
    return set_mixers(net, spatial, channel)


def build_on_meta_device(spec: ModelSpec, shape: Shape) -> nn.Module:
    """Build a network without storage on the meta device, or with weights if that fails."""
    with suppress(Exception), warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore")  # about weights that are not copied
        return build_without_normalization(spec, shape)
    return build_without_normalization(
        spec, shape
    )  # some need values; a real error is raised again


def wrap_normalized(
    net: nn.Module,
    interface: Interface,
    mean: Tensor,
    std: Tensor,
    *,
    channels_last: bool = True,
) -> Normalized:
    """Put resizing and normalisation in front of a network.

    Args:
        net: The network, which takes normalised images.
        interface: Input size, mean and std, which take precedence over the data set's.
        mean: Mean of the pixels per channel, (C,) or (1,).
        std: Standard deviation of the pixels per channel, (C,) or (1,).
        channels_last: Whether the network runs fastest in that memory format.
    """
    if interface.mean is not None and interface.std is not None:
        mean, std = torch.tensor(interface.mean), torch.tensor(interface.std)
    return Normalized(net, mean, std, interface.input_size, channels_last=channels_last)


def input_shape(spec: ModelSpec, shape: Shape) -> Shape:
    """Return the shape that the architecture must fit: the data set's, changed by the interface.

    Raises:
        RbmixError: There are fewer outputs than classes, or the mean has other channels.
    """
    interface = spec.interface or Interface()
    interface.check_channels(shape.channels)
    classes = interface.classes or shape.classes
    if classes < shape.classes:
        raise RbmixError(f"--classes {classes} is less than the data set's {shape.classes} classes")
    size = interface.input_size or shape.size
    sides = shape.sides and scaled_sides(*shape.sides, size)
    return replace(shape, size=size, classes=classes, sides=sides)


def fit(net: nn.Module, shape: Shape, word: str) -> tuple[nn.Module, int]:
    """Run the network on images of this shape.

    Args:
        net: The network.
        shape: The shape of the image.
        word: The model word, for messages.

    Returns:
        The network as one that maps float32 images to float32 logits, and the number of logits.

    Raises:
        RbmixError: It cannot take the images, or returns anything but one row of logits for each.
    """
    blank = torch.zeros(2, *shape.image)
    adapted = adapt(net, blank, f"model {word!r}", "--input-size N resizes them")
    logits = run_on_blank_image(adapted, shape)
    if not (logits.ndim == 2 and len(logits) == 1):
        what = tuple(logits.shape)
        raise RbmixError(f"model {word!r} returns {what} for an image (needs logits, (1, classes))")
    return adapted, logits.shape[1]


def check_output_count(outputs: int, shape: Shape, word: str) -> None:
    """Raise RbmixError unless the number of outputs is the number of classes."""
    if outputs != shape.classes:
        raise RbmixError(
            f"model {word!r} has {outputs:,} outputs, not {shape.classes:,}, one for each class"
            + (" (--class-index FILE says which each class is)" if outputs > shape.classes else "")
        )


def check_parameter_count(name: str, make: Callable[[], nn.Module]) -> None:
    """Raise RbmixError if the network has more parameters than `MAX_PARAMETERS`."""
    with torch.device("meta"):  # shapes without storage
        count = sum(parameter.numel() for parameter in make().parameters())
    if count > MAX_PARAMETERS:
        raise RbmixError(
            f"model {name!r} has {count:,} parameters (allowed: up to {MAX_PARAMETERS:,})"
        )


def trainable_parameters(name: str, shape: Shape | None = None) -> dict[str, int]:
    """Count the trainable parameters of the variants `full`, `chans` and `space`.

    The shape is that of CIFAR-10 unless given.
    """
    shape = shape or Shape(channels=3, size=32, classes=10)
    variants = {
        "full": ("learned", "learned"),
        "chans": ("frozen", "learned"),
        "space": ("learned", "frozen"),
    }
    return {
        variant: count_trainable(build_on_meta_device(ModelSpec(name, *mixers), shape))
        for variant, mixers in variants.items()
    }
