"""Data sets from class folders: `PATH/train/<class>/*.jpg` and `PATH/test/<class>/*.jpg`.

A folder is decoded once, into a cached file of tensors that is named by a hash of its listing.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from functools import cache
from pathlib import Path

import numpy as np
import torch

from robustbench_mix.config.catalog import dataset_name
from robustbench_mix.config.limits import check_name
from robustbench_mix.data.dataset import Dataset, Split
from robustbench_mix.data.decoding import Notes, read_image
from robustbench_mix.data.folder_listing import SplitListing, class_names, left_out, list_splits
from robustbench_mix.errors import RbmixError
from robustbench_mix.runtime.memory import total_memory_bytes
from robustbench_mix.runtime.progress import track
from robustbench_mix.storage import reading
from robustbench_mix.storage.files import replacing, safe_name
from robustbench_mix.storage.locks import exclusive_lock
from robustbench_mix.storage.paths import cache_folder

logger = logging.getLogger(__name__)

DECODING = 2  # changes with the pixels that a file gives
NOTES = "notes"  # in the metadata of the cache: what the decoding left out
MAX_SHOWN = 20  # largest number of classes that are shown by name


def load_folder(path: Path) -> Dataset:
    """Read a class folder; the data set is named after the folder (`catalog.dataset_name`).

    What was taken and left out is logged once, with the order of the classes.

    Raises:
        RbmixError: `train` or `test` is missing, their classes differ or are fewer than two, an
            image cannot be decoded, or image sizes differ.
    """
    path = path.resolve()
    check_name("the name of data set folder", path.name)
    splits = dict(zip(("train", "test"), list_splits(path), strict=True))
    classes = class_names(*splits.values())
    stem = safe_name(f"{path.name}-{_listing_hash(path, splits)}")
    cached = cache_folder() / "data" / f"{stem}.safetensors"
    if not cached.exists():
        with exclusive_lock(cached):
            if not cached.exists():
                _decode_to_cache(splits, classes, cached)
    counts = {name: len(split.images) for name, split in splits.items()}
    train, test = _read_cache(cached, counts, len(classes))
    _log_once(_summary(path, splits, classes, _read_notes(cached)))
    return Dataset(dataset_name(str(path)), classes, train, test)


@cache
def _log_once(line: str) -> None:
    logger.info(line)


def _summary(
    path: Path, splits: dict[str, SplitListing], classes: tuple[str, ...], notes: list[str]
) -> str:
    """Return what was taken and left out, with the classes in their order."""
    taken = " and ".join(
        f"{len(split.images):,} images in {split.folder.name}/" for split in splits.values()
    )
    shown = ", ".join(classes[:MAX_SHOWN])
    more = f", ... up to {classes[-1]}" if len(classes) > MAX_SHOWN else ""
    numbers = [int(name) if name.isdecimal() else -1 for name in classes]
    other = ""
    if min(numbers) >= 0 and numbers != list(range(len(classes))):
        other = " (in the order of text, which is not the numbers; see --class-index)"
    line = f"{path}: {taken}, {len(classes):,} classes: {shown}{more}{other}"
    out = list(left_out(*splits.values()))
    return "; ".join([line, *([f"left out {', '.join(out)}"] if out else []), *notes])


def _read_notes(path: Path) -> list[str]:
    """Return what the decoding of a cached data set left out, in words."""
    from safetensors import safe_open

    refusal = f"cached data {path} is damaged"
    with reading.refuse_on_error(refusal, "; delete it"):
        with safe_open(path, framework="pt") as file:
            raw = (file.metadata() or {})[NOTES].encode()
        return [str(line) for line in reading.parse_json(raw, refusal)]


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


def _listing_hash(path: Path, splits: dict[str, SplitListing]) -> str:
    """Return a hash that changes when a file is added, removed, renamed or written again."""
    listing = [
        (str(f.relative_to(path)), (stat := _file_status(f)).st_size, stat.st_mtime_ns)
        for split in splits.values()
        for f in split.images
    ]
    return hashlib.sha256(json.dumps([DECODING, listing]).encode()).hexdigest()[:12]


def _file_status(file: Path) -> os.stat_result:
    return reading.check_file(file, "image", reading.MAX_IMAGE_BYTES)


def _decode_to_cache(
    splits: dict[str, SplitListing], classes: tuple[str, ...], cached: Path
) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    number = {name: i for i, name in enumerate(classes)}
    size: tuple[int, int] | None = None
    tensors: dict[str, torch.Tensor] = {}
    notes = Notes()
    for split, listing in splits.items():
        images = listing.images
        decoded = np.empty(0, np.uint8)
        for i, file in enumerate(track(images, f"decoding {split}")):
            pixels = read_image(file, notes)
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
        tensors[f"{split}.labels"] = torch.tensor([number[name] for name in listing.classes])
        tensors[f"{split}.index"] = torch.arange(len(images))
    try:
        with replacing(cached) as temporary:
            save_file(tensors, temporary, {NOTES: json.dumps(list(notes.lines()))})
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
