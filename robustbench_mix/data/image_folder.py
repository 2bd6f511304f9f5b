"""Data sets from class folders: `PATH/train/<class>/*.jpg` and `PATH/test/<class>/*.jpg`.

A folder is decoded once, into a cached file of tensors that is named by a hash of its listing.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import torch

from robustbench_mix.config.catalog import dataset_name
from robustbench_mix.config.limits import check_name
from robustbench_mix.data.dataset import Dataset, Split
from robustbench_mix.errors import RbmixError
from robustbench_mix.runtime.memory import total_memory_bytes
from robustbench_mix.runtime.progress import track
from robustbench_mix.storage import reading
from robustbench_mix.storage.files import replacing, safe_name
from robustbench_mix.storage.locks import exclusive_lock
from robustbench_mix.storage.paths import cache_folder, is_folder

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".webp")
FORMATS = ("BMP", "JPEG", "PNG", "PPM", "WEBP")  # by content; other decoders never run
MAX_PIXELS = 2**24  # largest number of pixels of one image


def load_folder(path: Path) -> Dataset:
    """Read a class folder; the data set is named after the folder (`catalog.dataset_name`).

    Raises:
        RbmixError: `train` or `test` is missing, their classes differ or are fewer than two, an
            image cannot be decoded, or image sizes differ.
    """
    path = path.resolve()
    check_name("the name of data set folder", path.name)
    files = {split: _list_images(path, split) for split in ("train", "test")}
    classes = _classes(path, files)
    stem = safe_name(f"{path.name}-{_listing_hash(path, files)}")
    cached = cache_folder() / "data" / f"{stem}.safetensors"
    if not cached.exists():
        with exclusive_lock(cached):
            if not cached.exists():
                _decode_to_cache(files, classes, cached)
    splits = _read_cache(
        cached, {split: len(images) for split, images in files.items()}, len(classes)
    )
    return Dataset(dataset_name(str(path)), classes, *splits)


def _read_cache(path: Path, counts: dict[str, int], classes: int) -> list[Split]:
    """Return the cached splits; raise RbmixError if `_decode_to_cache` cannot have written them."""
    from safetensors.torch import load_file

    hint = "; delete it"
    reading.check_file(path, "cached data", reading.MAX_WEIGHTS_BYTES)
    with reading.refuse_on_error(f"cached data {path} is damaged", hint):
        tensors = load_file(path)
        splits = [
            Split(
                tensors[f"{s}.images"],
                tensors[f"{s}.labels"],
                tensors[f"{s}.index"],
                grey_levels=255,
            )
            for s in counts
        ]
        for split, count in zip(splits, counts.values(), strict=True):
            height, width = split.images.shape[2:]
            shapes = (split.images.shape, split.labels.shape, split.index.shape)
            kinds = (split.images.dtype, split.labels.dtype, split.index.dtype)
            if shapes != ((count, 3, height, width), (count,), (count,)):
                raise ValueError("other images than in the folder")
            if kinds != (torch.uint8, torch.int64, torch.int64):
                raise ValueError("no images, labels and positions")
            if not torch.equal(split.index, torch.arange(count)):
                raise ValueError("positions out of order")
            if split.labels.min() < 0 or split.labels.max() >= classes:
                raise ValueError("labels of no class")
        if splits[0].images.shape[1:] != splits[1].images.shape[1:]:
            raise ValueError("images of two sizes")
    return splits


def _list_images(path: Path, split: str) -> list[Path]:
    folder = path / split
    if not is_folder(folder):
        raise RbmixError(f"data set folder {path} has no {split}/ folder (needs train/ and test/)")
    images = sorted(f for f in folder.glob("*/*") if f.suffix.lower() in SUFFIXES)
    if not images:
        raise RbmixError(f"{folder} holds no images (looked for <class>/*, {', '.join(SUFFIXES)})")
    return images


def _classes(path: Path, files: dict[str, list[Path]]) -> tuple[str, ...]:
    train, test = ({f.parent.name for f in files[s]} for s in ("train", "test"))
    if train != test:
        odd = ", ".join(sorted(train ^ test)[:5])
        raise RbmixError(f"{path}: train/ and test/ hold different classes ({odd})")
    if len(train) < 2:
        raise RbmixError(f"{path} has one class, {min(train)!r} (needs at least two)")
    return tuple(check_name("the name of class folder", name) for name in sorted(train))


def _listing_hash(path: Path, files: dict[str, list[Path]]) -> str:
    """Return a hash that changes when a file is added, removed, renamed or written again."""
    listing = [
        (str(f.relative_to(path)), (stat := _file_status(f)).st_size, stat.st_mtime_ns)
        for split in files.values()
        for f in split
    ]
    return hashlib.sha256(json.dumps(listing).encode()).hexdigest()[:12]


def _file_status(file: Path) -> os.stat_result:
    return reading.check_file(file, "image", reading.MAX_IMAGE_BYTES)


def _decode_to_cache(files: dict[str, list[Path]], classes: tuple[str, ...], cached: Path) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    number = {name: i for i, name in enumerate(classes)}
    size: tuple[int, int] | None = None
    tensors: dict[str, torch.Tensor] = {}
    for split, images in files.items():
        decoded = np.empty(0, np.uint8)
        for i, file in enumerate(track(images, f"decoding {split}")):
            pixels = _read_image(file)
            if size is None:
                size = pixels.shape[:2]
            if pixels.shape[:2] != size:
                raise RbmixError(
                    f"{file} is {pixels.shape[1]}x{pixels.shape[0]} pixels, but others are "
                    f"{size[1]}x{size[0]} (resize the images to one size first)"
                )
            if i == 0:
                _check_memory(images, pixels)
                decoded = np.empty((len(images), *pixels.shape), np.uint8)
            decoded[i] = pixels
        tensors[f"{split}.images"] = torch.from_numpy(decoded.transpose(0, 3, 1, 2).copy())
        tensors[f"{split}.labels"] = torch.tensor([number[f.parent.name] for f in images])
        tensors[f"{split}.index"] = torch.arange(len(images))
    try:
        with replacing(cached) as temporary:
            save_file(tensors, temporary)
    except SafetensorError as error:  # also raised for a full disk
        raise RbmixError(f"cannot write {cached}: {error}") from error


def _check_memory(images: list[Path], one: np.ndarray) -> None:
    """Raise RbmixError if the images, each of the size of `one`, do not fit into memory."""
    needed = len(images) * one.nbytes
    there = total_memory_bytes()
    if there is not None and needed > there:
        raise RbmixError(
            f"{images[0].parent.parent}: {len(images):,} images of {one.shape[1]}x{one.shape[0]} "
            f"take {needed / 2**30:.1f} GiB (allowed: this machine's {there / 2**30:.1f} GiB)"
        )


def _read_image(file: Path) -> np.ndarray:
    """Return the pixels, (H, W, 3) uint8; raise RbmixError before a too large image is decoded."""
    import warnings

    from PIL import Image

    limit = f"(allowed: up to {MAX_PIXELS:,} pixels)"
    with reading.refuse_on_error(f"cannot decode {file}"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about sizes, which are checked here, and odd metadata
        try:
            image = Image.open(file, formats=FORMATS)
        except Image.DecompressionBombError as error:
            raise RbmixError(f"{file} is too large {limit}") from error
        with image:
            if image.width * image.height > MAX_PIXELS:
                raise RbmixError(f"{file}: {image.width}x{image.height} is too large {limit}")
            return np.asarray(image.convert("RGB"))
