"""Data sets of Hugging Face, known by their shape alone: the library itself is not needed.

Such a set has columns, and `features` that say what they hold. Its images are decoded by Pillow, so
that their scale is known, unlike that of other arrays.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from robustbench_mix.data.decoding import Notes, image_pixels
from robustbench_mix.errors import RbmixError
from robustbench_mix.storage import reading

logger = logging.getLogger(__name__)

IMAGES = ("image", "images", "img", "pixel_values", "x")
LABELS = ("label", "labels", "fine_label", "y")
GREY = ("1", "L", "LA", "I")  # first words of modes of Pillow with one channel


class Table(NamedTuple):
    """The content of such a data set: pairs of an image and a label, and the names of the classes.

    An image is a tensor (C, H, W) in [0, 1] if Pillow decoded it, else what a transform of the
    user's made of it. Without names, `classes` is empty.
    """

    pairs: list[tuple[object, object]]
    classes: tuple[str, ...]


def is_hugging_face(given: object) -> bool:
    """Return whether this is a data set with columns and features."""
    return hasattr(given, "features") and hasattr(given, "column_names")


def read_table(given: Any) -> Table:
    """Read the images and labels of a data set of Hugging Face.

    Args:
        given: The data set. The columns are those with a usual name (`IMAGES`, `LABELS`), or the
            only one whose feature is an image or a class.

    Raises:
        RbmixError: There is no such column, or more than one.
    """
    features = given.features or {}
    pairs: list[tuple[object, object]] = []
    image = label = ""
    notes = Notes()
    for item in given:
        if not image:
            image = _column(item, features, "Image", IMAGES)
            label = _column(item, features, "ClassLabel", LABELS)
        picture = item[image]
        is_decoded = isinstance(picture, Image.Image)
        pairs.append((_decode(picture, notes) if is_decoded else picture, item[label]))
    for line in notes.lines():
        logger.info(f"images of the data set: {line}")
    return Table(_in_colour(pairs), tuple(getattr(features.get(label), "names", None) or ()))


def _column(
    item: Mapping[str, object], features: Mapping[str, object], kind: str, names: Iterable[str]
) -> str:
    """Return the column with one of these names, or the only one of this kind."""
    for name in names:
        if name in item:
            return name
    found = [name for name in item if type(features.get(name)).__name__ == kind]
    if len(found) == 1:
        return found[0]
    first = next(iter(names))
    raise RbmixError(
        f"data has the columns {', '.join(map(str, item))} (needs one of {', '.join(names)}); "
        f"data.rename_column({(found or list(item))[0]!r}, {first!r}) makes one"
    )


def _decode(picture: Image.Image, notes: Notes) -> Tensor:
    """Return the pixels of an image, (1 or 3, H, W) float32 in [0, 1]."""
    with reading.refuse_on_error("cannot decode an image of data"):
        pixels = image_pixels(picture, notes)
    if picture.mode.partition(";")[0] in GREY:
        pixels = pixels[:, :, :1]
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))).float() / 255


def _in_colour(pairs: list[tuple[object, object]]) -> list[tuple[object, object]]:
    """Return the pairs with grey images in three channels if others have them."""
    channels = {len(image) for image, _ in pairs if isinstance(image, Tensor) and image.ndim == 3}
    if channels != {1, 3}:
        return pairs
    return [
        (image.expand(3, -1, -1) if isinstance(image, Tensor) else image, label)
        for image, label in pairs
    ]
