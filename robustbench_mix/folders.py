"""Class folders: `PATH/train/<class>/*.jpg` and `PATH/test/<class>/*.jpg`.

Decoded once into one cached tensor file per folder content.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from pathlib import Path

import numpy as np
import torch

from robustbench_mix.errors import RbmixError
from robustbench_mix.files import home, replacing
from robustbench_mix.locks import alone
from robustbench_mix.progress import track
from robustbench_mix.splits import Dataset, Split

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".webp")


def load_folder(path: Path, reserved: Collection[str] = ()) -> Dataset:
    """Read a class folder; the data set is named after the folder.

    A folder named like one of the `reserved` data sets gets `-folder` appended, so that
    its results never pass for theirs.

    Raises RbmixError if `train` or `test` is missing, classes differ or are fewer than
    two, an image cannot be decoded, or image sizes differ.
    """
    path = path.resolve()
    files = {split: _list_images(path, split) for split in ("train", "test")}
    classes = _classes(path, files)
    cached = home() / "data" / f"{path.name}-{_listing_hash(path, files)}.safetensors"
    if not cached.exists():
        with alone(cached):
            if not cached.exists():
                _decode(files, classes, cached)
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(cached)
    except (SafetensorError, OSError) as error:
        raise RbmixError(f"cached data {cached} is damaged ({error}); delete it") from error
    splits = [
        Split(tensors[f"{s}.images"], tensors[f"{s}.labels"], tensors[f"{s}.index"], levels=255)
        for s in ("train", "test")
    ]
    name = f"{path.name}-folder" if path.name in reserved else path.name
    return Dataset(name, classes, *splits)


def _list_images(path: Path, split: str) -> list[Path]:
    folder = path / split
    if not folder.is_dir():
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
    return tuple(sorted(train))


def _listing_hash(path: Path, files: dict[str, list[Path]]) -> str:
    """Changes when a file is added, removed, renamed, resized or written again."""
    listing = [
        (str(f.relative_to(path)), (stat := f.stat()).st_size, stat.st_mtime_ns)
        for split in files.values()
        for f in split
    ]
    return hashlib.sha256(json.dumps(listing).encode()).hexdigest()[:12]


def _decode(files: dict[str, list[Path]], classes: tuple[str, ...], cached: Path) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    number = {name: i for i, name in enumerate(classes)}
    size: tuple[int, int] | None = None
    tensors: dict[str, torch.Tensor] = {}
    for split, images in files.items():
        decoded = np.empty(0, np.uint8)
        for i, file in enumerate(track(images, f"decoding {split}")):
            pixels = _read(file)
            if size is None:
                size = pixels.shape[:2]
            if pixels.shape[:2] != size:
                raise RbmixError(
                    f"{file} is {pixels.shape[1]}x{pixels.shape[0]} pixels, but others are "
                    f"{size[1]}x{size[0]} (resize the images to one size first)"
                )
            if i == 0:
                decoded = np.empty((len(images), *pixels.shape), np.uint8)
            decoded[i] = pixels
        tensors[f"{split}.images"] = torch.from_numpy(decoded.transpose(0, 3, 1, 2).copy())
        tensors[f"{split}.labels"] = torch.tensor([number[f.parent.name] for f in images])
        tensors[f"{split}.index"] = torch.arange(len(images))
    try:
        with replacing(cached) as temporary:
            save_file(tensors, temporary)
    except SafetensorError as error:  # the library's word for a full disk too
        raise RbmixError(f"cannot write {cached}: {error}") from error


def _read(file: Path) -> np.ndarray:
    from PIL import Image

    try:
        with Image.open(file) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise RbmixError(f"cannot decode {file}: {str(error).splitlines()[0]}") from error
