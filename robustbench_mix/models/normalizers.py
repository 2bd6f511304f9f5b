"""Recognise the normalisation that a file of weights has beside its network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

# The names that libraries give to the per-channel mean and standard deviation of the pixels.
PAIRS = (
    ("new_mean", "new_std"), ("mean", "std"), ("_mean", "_std"), ("mu", "sigma"),
    ("mean", "sigma"), ("pixel_mean", "pixel_std"), ("means", "stds"),
)  # fmt: skip
CHANNELS = (1, 3, 4)


@dataclass(frozen=True)
class Normalizer:
    """A normalisation of pixels in [0, 1] in front of a network.

    Args:
        module: Its place in the file.
        names: The names of its mean and its standard deviation in the file.
        mean: Per-channel mean.
        std: Per-channel standard deviation.
    """

    module: str
    names: tuple[str, str]
    mean: tuple[float, ...]
    std: tuple[float, ...]


def normalizers(tensors: Mapping[str, Tensor]) -> list[Normalizer]:
    """Return the normalisations among tensors that are no part of a network.

    Values on another scale than [0, 1] are none.

    Args:
        tensors: The tensors by their names in the file.
    """
    found = []
    for module in dict.fromkeys(name.rpartition(".")[0] for name in tensors):
        start = f"{module}." if module else ""
        for first, second in PAIRS:
            names = (start + first, start + second)
            if not all(name in tensors for name in names):
                continue
            mean, std = (_values(tensors[name]) for name in names)
            if len(mean) == len(std) and _are_of_pixels(mean, std):
                found.append(Normalizer(module, names, mean, std))
    return found


def _values(tensor: Tensor) -> tuple[float, ...]:
    if not tensor.is_floating_point() or tensor.is_meta or tensor.numel() not in CHANNELS:
        return ()
    # As the shortest decimals of float32, for example 0.485.
    return tuple(float(f"{value:.7g}") for value in tensor.flatten().tolist())


def _are_of_pixels(mean: tuple[float, ...], std: tuple[float, ...]) -> bool:
    return len(mean) > 0 and all(0 <= value <= 1 for value in mean) and all(0 < v <= 1 for v in std)
