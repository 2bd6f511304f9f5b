"""The settings of a network: architecture, mixers, interface to the data, seed."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

from robustbench_mix.config.limits import MAX_SIZE, MAX_UNSHUFFLER, check_count, check_seed
from robustbench_mix.errors import RbmixError, unknown

STATIC = ("same", "single", "repeated", "box", "identity", "impulse", "gaussian")
SPATIAL = ("learned", "frozen", *STATIC, "smoothed:S", "smoothed:S:rescaled")
CHANNEL = ("learned", "frozen")


@dataclass(frozen=True)
class Spatial:
    """The setting of the spatial mixers.

    Args:
        mode: The first word of `--spatial`.
        keep: For `smoothed`, the number of rows and of columns of DCT coefficients that are kept.
        rescaled: For `smoothed`, whether filters keep their norm.
    """

    mode: str
    keep: int = 0
    rescaled: bool = False


def parse_spatial(text: str) -> Spatial:
    """Read `--spatial`: one of `SPATIAL`, where S is a whole number.

    Raises:
        RbmixError: It is anything else.
    """
    if text in ("learned", "frozen", *STATIC):
        return Spatial(text)
    match = re.fullmatch(r"smoothed:([1-9][0-9]?)(:rescaled)?", text)
    if not match:
        raise unknown("spatial", text, SPATIAL, also="where S is 1, 2, ... up to the kernel size")
    return Spatial("smoothed", int(match[1]), match[2] is not None)


def check_channel(text: str) -> str:
    """Return `--channel` if it is one of `CHANNEL`; raise RbmixError otherwise."""
    if text not in CHANNEL:
        raise unknown("channel", text, CHANNEL)
    return text


@dataclass(frozen=True)
class Interface:
    """The interface between a data set and a network; None takes a value from the data set.

    Args:
        input_size: Images are resized inside the network so that their shorter side has that many
            pixels.
        mean: Per-channel mean: one value, or one per channel.
        std: Per-channel standard deviation: one value, or one per channel.
        classes: Number of outputs of the network.

    Raises:
        RbmixError: A value is out of range, or one of `mean` and `std` is missing.
    """

    input_size: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    classes: int | None = None

    def __post_init__(self) -> None:
        if self.input_size is not None and not 1 <= self.input_size <= MAX_SIZE:
            raise RbmixError(f"input size {self.input_size} is not in 1 to {MAX_SIZE}")
        if self.classes is not None and self.classes < 2:
            raise RbmixError(f"number of classes {self.classes} must be at least 2")
        if (self.mean is None) != (self.std is None):
            given, lacks = ("--std", "--mean") if self.mean is None else ("--mean", "--std")
            raise RbmixError(f"{given} needs {lacks} beside it")
        if not all(math.isfinite(value) for value in self.mean or ()):
            raise RbmixError(f"mean {_join(self.mean)} must be finite numbers")
        if not all(math.isfinite(value) and value > 0 for value in self.std or ()):
            raise RbmixError(f"std {_join(self.std)} must be positive numbers")

    def changed(self, other: Interface) -> Interface:
        """Return the interface with the values that another one gives."""
        given = {name: value for name, value in vars(other).items() if value is not None}
        return replace(self, **given)

    def check_channels(self, channels: int) -> None:
        """Raise RbmixError unless mean and std have one value, or one for each channel."""
        for name, values in (("mean", self.mean), ("std", self.std)):
            if values is not None and len(values) not in (1, channels):
                raise RbmixError(
                    f"{name} {_join(values)} has {len(values)} values "
                    f"(allowed: 1, or one for each of {channels} channels)"
                )

    def __str__(self) -> str:
        """Return the values that are given, as the names of networks show them."""
        size = None if self.input_size is None else f"{self.input_size} px"
        outputs = None if self.classes is None else f"{self.classes} outputs"
        mean = None if self.mean is None else f"mean {_join(self.mean)} std {_join(self.std)}"
        return ", ".join(part for part in (size, outputs, mean) if part)


def _join(values: tuple[float, ...] | None) -> str:
    return ",".join(f"{value:g}" for value in values or ())


@dataclass(frozen=True)
class ModelSpec:
    """The settings of a network.

    Args:
        model: The model word, for example `resnet14` or `timm:resnet18`.
        spatial: One of `SPATIAL`.
        channel: One of `CHANNEL`.
        seed: Seed of weights and training.
        interface: The interface to the data set; None takes everything from the data set.

    Raises:
        RbmixError: A word or the seed is not allowed.
    """

    model: str
    spatial: str = "learned"
    channel: str = "learned"
    seed: int = 0
    interface: Interface | None = None

    def __post_init__(self) -> None:
        parse_spatial(self.spatial)
        check_channel(self.channel)
        object.__setattr__(self, "seed", check_seed(self.seed))

    @property
    def name(self) -> str:
        """The model word and the values of its interface, as records show them."""
        beside = str(self.interface or "")
        return f"{self.model} [{beside}]" if beside else self.model


@dataclass(frozen=True)
class Unshuffler:
    """The settings of a ConvMixer that un-shuffles.

    Args:
        width: Number of channels.
        depth: Number of blocks.
        kernel: Kernel size in pixels.
        patch: Patch size in pixels.
        spatial: One of `SPATIAL`.
        channel: One of `CHANNEL`.
        seed: Seed of permutation, weights and training.

    Raises:
        RbmixError: A word or a number is not allowed.
    """

    width: int
    depth: int
    kernel: int
    patch: int = 1
    spatial: str = "learned"
    channel: str = "learned"
    seed: int = 0

    def __post_init__(self) -> None:
        parse_spatial(self.spatial)
        for name, most in MAX_UNSHUFFLER.items():
            check_count(name, getattr(self, name), most)

    @property
    def name(self) -> str:
        """The name, in the form of model names."""
        return f"convmixer{self.width}_{self.depth}_k{self.kernel}_p{self.patch}"

    @property
    def reach(self) -> int:
        """The largest distance, in pixels, from which an output depends on an input."""
        return self.depth * (self.kernel - 1) * self.patch // 2
