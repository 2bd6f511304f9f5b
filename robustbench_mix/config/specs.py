"""What to run: frozen records, checked when they are made.

Every record turns into plain JSON (`as_json`), and its hash names what it describes.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

from robustbench_mix.errors import RbmixError, unknown
from robustbench_mix.storage.validation import MAX_NAME, is_name

SPATIAL = ("learned", "frozen", "same", "box", "identity", "smoothed:S", "smoothed:S:rescaled")
CHANNEL = ("learned", "frozen")
PRECISIONS = ("fp32", "bf16")
RUNNERS = ("local", "ray")
BACKENDS = ("reference", "fast")
MAX_SEED = 2**32 - 1
MAX_SIZE = 1024  # pixels that images are resized to at most
MAX_EPS = 1000  # of a grid
MAX_EXAMPLES = 10**8
MAX_BATCH = 10**6
MAX_EPOCHS = 10**5
MAX_PIECES = 100_000  # of a sweep: networks times attacks
# Of un-shufflers, as in the names of models.
MOST_DECODER = {"width": 9999, "depth": 999, "kernel": 999, "patch": 999}


@dataclass(frozen=True)
class Spatial:
    """How the spatial mixers are set: a mode, and for `smoothed` how much is kept."""

    mode: str
    keep: int = 0
    rescaled: bool = False


def parse_spatial(text: str) -> Spatial:
    """Read `--spatial`: one of `SPATIAL`, where S is a whole number.

    Raises RbmixError for anything else.
    """
    if text in ("learned", "frozen", "same", "box", "identity"):
        return Spatial(text)
    match = re.fullmatch(r"smoothed:([1-9][0-9]?)(:rescaled)?", text)
    if not match:
        raise unknown("spatial", text, SPATIAL, also="where S is 1, 2, ... up to the kernel size")
    return Spatial("smoothed", int(match[1]), match[2] is not None)


def check_channel(text: str) -> str:
    """Return `--channel` if it is one of `CHANNEL`; raises RbmixError otherwise."""
    if text not in CHANNEL:
        raise unknown("channel", text, CHANNEL)
    return text


def check_seed(seed: int) -> int:
    """Return the seed if it fits 32 bits without sign; raises RbmixError otherwise."""
    if not 0 <= seed <= MAX_SEED:
        raise RbmixError(f"seed {seed} is out of range (allowed: 0 to {MAX_SEED})")
    return seed


def check_name(kind: str, text: str) -> str:
    """Return a name that will be printed and written into files.

    Raises RbmixError if it is empty, too long, or holds what a terminal or a table would
    obey (control characters, line ends) or what UTF-8 cannot write.
    """
    if not is_name(text):
        raise RbmixError(f"{kind} {text!r} is not 1 to {MAX_NAME} printable characters")
    return text


def check_count(name: str, number: int | None, most: int) -> None:
    """Raise RbmixError unless the number is from 1 to `most`; None passes."""
    if number is not None and not 1 <= number <= most:
        raise RbmixError(f"{name} {number} must be at least 1 (allowed: up to {most:,})")


def check_rate(rate: float) -> None:
    """Raise RbmixError unless a learning rate is a positive number."""
    if not (math.isfinite(rate) and rate > 0):
        raise RbmixError(f"learning rate {rate} must be a positive number")


def check_precision(name: str) -> None:
    """Raise RbmixError unless it is one of `PRECISIONS`."""
    if name not in PRECISIONS:
        raise unknown("precision", name, PRECISIONS)


@dataclass(frozen=True)
class Eps:
    """A radius as the exact text it was written in, for example `8/255`."""

    text: str

    @property
    def value(self) -> float:
        """The radius in pixel units, where an image spans [0, 1]."""
        return float(self.exact)

    @property
    def exact(self) -> Fraction:
        """The same without rounding."""
        return _fraction(self.text)


def parse_eps(text: str, norm: str) -> Eps:
    """Read one epsilon: `8/255`, `0.5/255` or `0.03`.

    Raises RbmixError unless it is a positive number, and at most 1 for l-infinity.
    """
    shape = r"(?:[0-9]{1,12}(?:\.[0-9]{1,12})?|\.[0-9]{1,12})"
    if not re.fullmatch(rf"{shape}(?:/{shape})?", text):
        raise RbmixError(
            f"epsilon {text!r} is not a positive number (allowed: 8/255, 0.5/255, 0.03)"
        )
    try:
        value = _fraction(text)
    except ZeroDivisionError:
        raise RbmixError(f"epsilon {text!r} divides by zero (allowed: 8/255, 0.03)") from None
    if value <= 0:
        raise RbmixError(
            f"epsilon {text!r} must be above 0 (the clean accuracy is always reported)"
        )
    if norm == "linf" and value > 1:
        raise RbmixError(
            f"epsilon {text!r} is above 1, the whole pixel range [0, 1]; did you mean {text}/255?"
        )
    return Eps(text)


def parse_grid(texts: list[str], norm: str) -> tuple[Eps, ...]:
    """Read an epsilon grid, sorted ascending; raises RbmixError if empty or repeated."""
    if not texts:
        raise RbmixError("the epsilon grid is empty (allowed: one or more, as in 1/255,2/255)")
    if len(texts) > MAX_EPS:
        raise RbmixError(f"the epsilon grid has {len(texts):,} values (allowed: up to {MAX_EPS:,})")
    grid = sorted((parse_eps(text, norm) for text in texts), key=lambda eps: eps.value)
    for smaller, larger in pairwise(grid):
        if smaller.value == larger.value:
            raise RbmixError(f"epsilon {larger.text!r} is twice in the grid (as {smaller.text!r})")
    return tuple(grid)


def _fraction(text: str) -> Fraction:
    numerator, _, denominator = text.partition("/")
    return Fraction(numerator) / Fraction(denominator or "1")


@dataclass(frozen=True)
class Interface:
    """What stands between a data set and a network; None leaves it to the data set.

    Images are resized to `input_size` pixels (the shorter side) and standardised by `mean`
    and `std`, one value for each channel or one for all, both inside the network; `classes`
    is its number of outputs.
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
            raise RbmixError(f"mean {_listed(self.mean)} must be finite numbers")
        if not all(math.isfinite(value) and value > 0 for value in self.std or ()):
            raise RbmixError(f"std {_listed(self.std)} must be positive numbers")

    def check_channels(self, channels: int) -> None:
        """Raise RbmixError unless mean and std have one value, or one for each channel."""
        for name, values in (("mean", self.mean), ("std", self.std)):
            if values is not None and len(values) not in (1, channels):
                raise RbmixError(
                    f"{name} {_listed(values)} has {len(values)} values "
                    f"(allowed: 1, or one for each of {channels} channels)"
                )

    def __str__(self) -> str:
        """What is not left to the data set, as the names of networks show it."""
        size = None if self.input_size is None else f"{self.input_size} px"
        outputs = None if self.classes is None else f"{self.classes} outputs"
        mean = None if self.mean is None else f"mean {_listed(self.mean)} std {_listed(self.std)}"
        return ", ".join(part for part in (size, outputs, mean) if part)


def _listed(values: tuple[float, ...] | None) -> str:
    return ",".join(f"{value:g}" for value in values or ())


@dataclass(frozen=True)
class ModelSpec:
    """Which network: architecture name, the two words for its mixers, the seed, its interface."""

    model: str
    spatial: str = "learned"
    channel: str = "learned"
    seed: int = 0
    interface: Interface | None = None

    def __post_init__(self) -> None:
        parse_spatial(self.spatial)
        check_channel(self.channel)
        check_seed(self.seed)

    @property
    def name(self) -> str:
        """The model word with what its interface changes, as records show it."""
        beside = str(self.interface or "")
        return f"{self.model} [{beside}]" if beside else self.model


@dataclass(frozen=True)
class Decoder:
    """Which network un-shuffles: its shape, its mixers and the seed, of the permutation too."""

    width: int
    depth: int
    kernel: int
    patch: int = 1
    spatial: str = "learned"
    channel: str = "learned"
    seed: int = 0

    def __post_init__(self) -> None:
        parse_spatial(self.spatial)
        for name, most in MOST_DECODER.items():
            check_count(name, getattr(self, name), most)

    @property
    def name(self) -> str:
        """As model names go."""
        return f"convmixer{self.width}_{self.depth}_k{self.kernel}_p{self.patch}"

    @property
    def reach(self) -> int:
        """How many pixels away from a position its output can see."""
        return self.depth * (self.kernel - 1) * self.patch // 2


@dataclass(frozen=True)
class Adversarial:
    """Training on PGD examples (Madry et al., arXiv 1706.06083) instead of the images.

    `eps` is an l-infinity radius as text; `step_size` is a share of it.
    """

    eps: str
    steps: int = 7
    step_size: float = 0.25

    def __post_init__(self) -> None:
        parse_eps(self.eps, "linf")


@dataclass(frozen=True)
class Recipe:
    """How a network is trained; one readable set of numbers, the same for every variant.

    `lr` is the peak of a schedule that rises linearly for the first `warmup` share of
    the steps and then falls to zero along a cosine. `pad` is the reach of the random
    shift in pixels; `flip` mirrors half of the images.
    """

    epochs: int
    batch_size: int
    optimizer: str
    lr: float
    weight_decay: float
    warmup: float
    pad: int
    flip: bool
    precision: str = "fp32"
    adversarial: Adversarial | None = None

    def __post_init__(self) -> None:
        check_count("epochs", self.epochs, MAX_EPOCHS)
        check_count("batch size", self.batch_size, MAX_BATCH)
        check_rate(self.lr)
        check_precision(self.precision)


def as_json(record: Any) -> dict[str, Any]:
    """A frozen record as plain JSON values; what is None is left out."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(record)))
    return {name: value for name, value in plain.items() if value is not None}


def short_hash(value: Any) -> str:
    """Twelve hexadecimal digits of the SHA-256 of a JSON value with sorted keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
