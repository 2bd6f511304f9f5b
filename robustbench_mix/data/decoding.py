"""Decode one image file to 8-bit RGB, and note what that leaves out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from robustbench_mix.errors import RbmixError
from robustbench_mix.storage import reading

FORMATS = ("BMP", "JPEG", "PNG", "PPM", "WEBP")  # by content; other decoders never run
MAX_PIXELS = 2**24  # largest number of pixels of one image
DEEP_WHITE = 2**16 - 1  # the value of a white pixel of 16 bits
ORIENTATION = 0x0112  # tag of EXIF


@dataclass
class Notes:
    """What the images of a folder have that 8-bit RGB does not show.

    Args:
        counts: Number of images by what they have: `deep`, `alpha`, `turned`, `frames`.
        brightest: The largest value of an image of 16 grey bits; 0 if there is none.
    """

    counts: Counter[str] = field(default_factory=Counter)
    brightest: int = 0

    def lines(self) -> Iterator[str]:
        """Yield what was changed or left out, in words."""
        if deep := self.counts["deep"]:
            shown = f" (brightest {self.brightest:,} of {DEEP_WHITE:,})" if self.brightest else ""
            yield f"{deep} of 16 bits scaled to 8{shown}"
        for kind, words in (
            ("alpha", "alpha of {} not used"),
            ("turned", "EXIF orientation of {} not applied"),
            ("frames", "first frame of {} taken"),
        ):
            if count := self.counts[kind]:
                yield words.format(count)


def read_image(file: Path, notes: Notes) -> np.ndarray:
    """Return the pixels of an image, (H, W, 3) uint8; 16 bits are scaled to 8.

    Args:
        file: The image.
        notes: Changed in place: what the image has beside these pixels.

    Raises:
        RbmixError: It cannot be decoded, or it is too large, which is known before it is decoded.
    """
    import warnings

    from PIL import Image, UnidentifiedImageError

    limit = f"(allowed: up to {MAX_PIXELS:,} pixels)"
    with reading.refuse_on_error(f"cannot decode {file}"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about sizes, which are checked here, and odd metadata
        try:
            image = Image.open(file, formats=FORMATS)
        except Image.DecompressionBombError as error:
            raise RbmixError(f"{file} is too large {limit}") from error
        except UnidentifiedImageError as error:
            allowed = ", ".join(FORMATS)
            raise RbmixError(f"cannot decode {file} (it is none of {allowed})") from error
        with image:
            if image.width * image.height > MAX_PIXELS:
                raise RbmixError(f"{file}: {image.width}x{image.height} is too large {limit}")
            pixels = _pixels(image, notes)
            _note_metadata(image, notes)
            return pixels


def _pixels(image: Any, notes: Notes) -> np.ndarray:
    """Return the pixels; a conversion by Pillow would clip grey values of 16 bits."""
    is_deep = any(";16" in str(tile[-1]) for tile in image.tile)  # before it is decoded
    if image.mode == "F":
        raise ValueError("its values are floating point")
    if not image.mode.startswith("I"):
        notes.counts["deep"] += is_deep
        return np.asarray(image.convert("RGB"))
    grey = np.asarray(image).astype(np.int64)
    if grey.min() < 0 or grey.max() > DEEP_WHITE:
        raise ValueError(f"its values are beyond 0 to {DEEP_WHITE}")
    notes.counts["deep"] += 1
    notes.brightest = max(notes.brightest, int(grey.max()))
    scaled = (grey * 255 + DEEP_WHITE // 2) // DEEP_WHITE
    return np.repeat(scaled.astype(np.uint8)[:, :, None], 3, axis=2)


def _note_metadata(image: Any, notes: Notes) -> None:
    notes.counts["alpha"] += _is_transparent(image)
    notes.counts["frames"] += getattr(image, "n_frames", 1) > 1
    with suppress(Exception):  # of metadata that is odd
        notes.counts["turned"] += image.getexif().get(ORIENTATION, 1) not in (0, 1)


def _is_transparent(image: Any) -> bool:
    """Return whether a pixel is not fully opaque."""
    if image.mode.startswith("I"):
        return "transparency" in image.info
    if image.mode not in ("LA", "PA", "La", "RGBA", "RGBa") and "transparency" not in image.info:
        return False
    return bool(image.convert("RGBA").getchannel("A").getextrema()[0] < 255)
