"""Images and labels that a Python caller passes in, checked and turned into a data set.

Nothing is guessed: what is not images in [0, 1] with integer labels is refused in one line that
names the way out. Only rounding is forgiven, and said.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.utils.data
from PIL import Image
from torch import Tensor

from robustbench_mix.data.dataset import Dataset, Split
from robustbench_mix.data.hugging_face import IMAGES, LABELS, is_hugging_face, read_table
from robustbench_mix.errors import RbmixError
from robustbench_mix.runtime.dense import ODD, is_dense

logger = logging.getLogger(__name__)


class Items(Protocol):
    """What gives images with their labels by number, as a data set of PyTorch."""

    def __len__(self) -> int: ...

    def __getitem__(self, at: int, /) -> object: ...


Array = Tensor | np.ndarray[tuple[int, ...], np.dtype[np.generic]] | Sequence[object]
# A name or a folder, a `Dataset`, a pair of arrays, a `DataLoader`, a data set of PyTorch or of
# Hugging Face.
Data = str | Path | Dataset | Iterable[object] | Items | torch.utils.data.Dataset[object]

ROUNDING = 1e-4  # how far resizing and other arithmetic may put a pixel outside of [0, 1]
MAX_LABELS = 10**6  # as many names of classes are made
PARTS = ("train", "test")
NEEDS = (
    "needs a data set's name or folder, or images and labels: a pair of tensors or arrays, or a "
    "DataLoader"
)


def dataset_of(given: Any) -> Dataset:
    """Return what a caller passes as data as a data set, named `tensors` unless it is one.

    Args:
        given: A `Dataset`; a pair of images (n, C, H, W) and labels (n,), tensors or arrays; or
            what gives such pairs when iterated, as a `DataLoader` or a data set of PyTorch, whose
            items may also be mappings with an image and a label; or a data set of Hugging Face; or
            a mapping with `train` and `test`, each in one of these forms.

    Returns:
        The data set. Its images to train on are those to attack unless a mapping gives both.

    Raises:
        RbmixError: It is something else, or not images in [0, 1] with labels from 0.
    """
    if isinstance(given, Mapping) and given.keys() >= set(PARTS):
        train, test = (dataset_of(given[part]) for part in PARTS)
        shapes = [tuple(part.test.images.shape[1:]) for part in (train, test)]
        if shapes[0] != shapes[1]:
            raise RbmixError(
                f"data has images {shapes[0]} to train on and {shapes[1]} to test (needs one shape)"
            )
        classes = max(train.classes, test.classes, key=len)
        return Dataset("tensors", classes, train.test, test.test, labels_are_outputs=True)
    if isinstance(given, Dataset):
        _check_labels(given.test.labels, given.test.images)
        if given.test.images.is_floating_point():
            _pixels(given.test.images)
        return given
    table = read_table(given) if is_hugging_face(given) else None
    split = split_of(*_pair(given if table is None else iter(table.pairs)))
    outputs = range(int(split.labels.max()) + 1)
    classes = tuple(map(str, outputs)) if table is None or not table.classes else table.classes
    if len(classes) < len(outputs):
        raise RbmixError(
            f"y has labels up to {outputs[-1]}, but data has {len(classes)} names of classes"
        )
    return Dataset("tensors", classes, split, split, labels_are_outputs=True)


def split_of(x: Any, y: Any) -> Split:
    """Return images and labels as a split on the CPU.

    Args:
        x: Images, (n, C, H, W), floating point in [0, 1]; a tensor or an array.
        y: Labels, (n,), integers from 0.

    Raises:
        RbmixError: The shapes, types or values differ from that.
    """
    images, labels = _tensor(x, "x"), _tensor(y, "y")
    _check_images(images)
    pixels = _pixels(images)
    _check_labels(labels, images)
    return Split(pixels, labels.cpu().long(), torch.arange(len(images)), 1)


def _pair(given: Any) -> tuple[Any, Any]:
    """Return the images and the labels of data in one of the forms of `dataset_of`."""
    if isinstance(given, tuple | list):
        if len(given) != 2 or _is_item(given[0]):
            raise RbmixError(f"data is a {type(given).__name__} of {_kinds(given)} ({NEEDS})")
        return given[0], given[1]
    if isinstance(given, Mapping):
        names = ", ".join(map(str, given))
        hint = f"; choose a part, as in data[{next(iter(given))!r}]" if given else ""
        raise RbmixError(f"data is a {type(given).__name__} of {names} ({NEEDS}){hint}")
    if isinstance(given, Tensor | np.ndarray | str | bytes):
        raise RbmixError(f"data is a {type(given).__name__} ({NEEDS})")
    if hasattr(given, "__getitem__") and hasattr(given, "__len__"):
        items: Iterable[Any] = (given[at] for at in range(len(given)))
    elif isinstance(given, Iterable):
        items = given
    else:
        raise RbmixError(f"data is a {type(given).__name__} ({NEEDS})")
    with torch.random.fork_rng(devices=[]):  # a loader that shuffles draws from the caller's stream
        parts = [_of_item(item) for item in items]
    if not parts:
        raise RbmixError(f"data is a {type(given).__name__} without images")
    try:
        return torch.cat([x for x, _ in parts]), torch.cat([y for _, y in parts])
    except RuntimeError as error:
        shapes = sorted({str(tuple(x.shape[1:])) for x, _ in parts})
        raise RbmixError(
            f"data has images of different shapes: {', '.join(shapes)} (resize them to one)"
        ) from error


def _of_item(item: Any) -> tuple[Tensor, Tensor]:
    """Return one item of a loader or a data set as images (b, C, H, W) and labels (b,)."""
    if isinstance(item, Mapping):
        found = [next((item[name] for name in names if name in item), None)
                 for names in (IMAGES, LABELS)]  # fmt: skip
        if any(part is None for part in found):
            raise RbmixError(
                f"data gives mappings with {', '.join(map(str, item))} (needs an image, as one of "
                f"{', '.join(IMAGES)}, and a label, as one of {', '.join(LABELS)})"
            )
        item = found
    if not isinstance(item, tuple | list) or len(item) < 2:
        raise RbmixError(f"data gives items of type {type(item).__name__} ({NEEDS})")
    images, labels = _tensor(item[0], "x"), _tensor(item[1], "y")
    is_one = images.ndim == 3 or labels.ndim == 0
    return (images[None], labels[None]) if is_one else (images, labels)


def _tensor(value: Any, name: str) -> Tensor:
    """Return a tensor, an array or nested lists as a tensor that is free of any graph."""
    value = getattr(value, "raw", value)  # a tensor of eagerpy, as foolbox gives them
    if _is_picture(value) or (isinstance(value, Sequence) and any(map(_is_picture, value[:1]))):
        raise RbmixError(
            f"{name} has images of Pillow (needs tensors (C, H, W) in [0, 1]); "
            "transform=torchvision.transforms.ToTensor() makes them"
        )
    if isinstance(value, Tensor):
        if not is_dense(value) or value.is_meta:
            raise RbmixError(
                f"{name} is a tensor that is {ODD} or has no values (needs a dense one)"
            )
        return value.detach().clone() if value.is_inference() else value.detach()
    kind = type(value).__name__
    try:
        array = np.array(value)
        kind += f" of {array.dtype}"
        return torch.as_tensor(array.astype(array.dtype.newbyteorder("="), copy=False))
    except (TypeError, ValueError, RuntimeError) as error:
        raise RbmixError(f"{name} is a {kind} (needs a tensor or an array of numbers)") from error


def _check_images(x: Tensor) -> None:
    """Raise RbmixError unless these are images, (n, C, H, W) floating point."""
    shape = tuple(x.shape)
    if x.ndim != 4 or 0 in shape:
        hint = "; x[:, None] adds one channel" if x.ndim == 3 and 0 not in shape else ""
        raise RbmixError(f"x has shape {shape} (needs images, (n, C, H, W)){hint}")
    if shape[3] in (1, 3) and shape[1] not in (1, 3):
        raise RbmixError(
            f"x has shape {shape}, channels last (needs images, (n, C, H, W)); "
            "x.permute(0, 3, 1, 2), of an array np.moveaxis(x, 3, 1), puts them first"
        )
    if not x.is_floating_point():
        kind = str(x.dtype).removeprefix("torch.")
        raise RbmixError(f"x has pixels of type {kind} (needs floats in [0, 1]); divide by 255")


def _pixels(x: Tensor) -> Tensor:
    """Return the pixels as float32 on the CPU, rounding beyond [0, 1] clipped and said."""
    low, high = (float(v) for v in x.aminmax())
    if not (low >= -ROUNDING and high <= 1 + ROUNDING):
        hint = ""
        if low >= 0 and 1.5 < high <= 255:
            hint = "; divide by 255"
        elif -10 < low < 0 < high < 10:
            hint = "; normalisation belongs into the network"
        raise RbmixError(f"x spans {low:g} to {high:g} (needs pixels in [0, 1]){hint}")
    images = x.to("cpu", torch.float32).contiguous()
    if low >= 0 and high <= 1:
        return images
    logger.warning(f"pixels span {low:.9g} to {high:.9g}: they are clipped to [0, 1]")
    return images.clamp(0, 1)


def _check_labels(y: Tensor, x: Tensor) -> None:
    """Raise RbmixError unless these are labels of the images, (n,) integers from 0."""
    shape, n = tuple(y.shape), len(x)
    if shape != (n,):
        hint = ""
        if y.ndim == 2 and len(y) == n:
            is_one_hot = shape[1] > 1
            hint = "; y.argmax(1) turns one-hot rows into labels" if is_one_hot else "; use y[:, 0]"
        raise RbmixError(f"y has shape {shape} (needs one label per image, ({n},)){hint}")
    if y.is_floating_point() or y.is_complex():
        kind = str(y.dtype).removeprefix("torch.")
        raise RbmixError(
            f"y has labels of type {kind} (needs integers from 0); y.long(), of an array "
            "y.astype(int), makes them so"
        )
    labels = y.tolist()  # tensors of unsigned numbers have no minimum
    low, high = min(labels), max(labels)
    if low < 0:
        raise RbmixError(
            f"y has labels from {low} to {high} (needs integers from 0); leave out images without "
            "a label"
        )
    if high >= MAX_LABELS:
        raise RbmixError(f"y has labels up to {high:,} (allowed: 0 to {MAX_LABELS - 1:,})")


def _is_picture(value: object) -> bool:
    return isinstance(value, Image.Image)


def _is_item(part: Any) -> bool:
    """Return whether this is an image with its label, of a list of such pairs."""
    return isinstance(part, tuple | list | Mapping)


def _kinds(parts: Iterable[Any]) -> str:
    names = [type(part).__name__ for part in parts]
    return f"{len(names)}: {', '.join(names[:3])}" if names else "nothing"
