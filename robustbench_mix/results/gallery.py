"""The table and the pictures of un-shuffling, both pure functions of its records."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from robustbench_mix.results import twins, unshuffling
from robustbench_mix.results.intervals import mean_interval
from robustbench_mix.results.markdown import line
from robustbench_mix.results.unshuffling import Decoding
from robustbench_mix.storage.files import files_that_differ, safe_name, write_if_changed
from robustbench_mix.storage.locks import exclusive_lock

NAME = "unshuffle.md"
SCALE = 96  # minimum length of an image's longer side in a picture, in pixels
GAP = 4


def stale(results: Path) -> list[Path]:
    """Return unshuffle.md if there are records and it is not what they give."""
    found = unshuffling.read_all(results)
    return files_that_differ({results / NAME: to_markdown(found)}) if found else []


def write(results: Path) -> list[Path]:
    """Regenerate unshuffle.md and the pictures, one for each pair; return what changed.

    Without records nothing is written.
    """
    path = results / NAME
    with exclusive_lock(path):
        found = unshuffling.read_all(results)
        if not found:
            return []
        pictures = {picture_path(group, results): to_png(group) for group in twin_groups(found)}
        return write_if_changed({path: to_markdown(found), **pictures})


def rows(paths: list[Path]) -> list[dict[str, Any]]:
    """Return one row for each network at these paths, as `rows_of`."""
    return rows_of([unshuffling.read(path) for path in paths])


def rows_of(decodings: list[Decoding]) -> list[dict[str, Any]]:
    """Return one row for each network: its settings, and its PSNR in dB with a 95 % interval."""
    words = ("dataset", "depth", "width", "kernel", "reach", "spatial", "seed", "epochs", "n")
    found = []
    for one in decodings:
        low, high = mean_interval(one.psnr)
        row = {name: getattr(one.header, name) for name in (*words, "train_examples")}
        found.append({**row, "psnr": float(one.psnr.mean()), "low": low, "high": high})
    return found


def to_markdown(found: list[Decoding]) -> str:
    """Return one line per network, and the difference to its learned twin."""
    lines = [
        "# Un-shuffling",
        "",
        "One fixed permutation of the pixel positions, undone by a ConvMixer. PSNR of test images",
        "in dB, peak 1, outputs clipped to [0, 1], the mean over images with a 95 % t interval. A",
        "*difference* is that network minus its learned twin over the same images; the intervals",
        "speak of these networks, not of other seeds. *Reach* is how far a position can see, in",
        "pixels.",
        "",
        "| data | depth | width | kernel | reach | spatial | seed | trained on | n | PSNR |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for one in sorted(found, key=_order):
        h = one.header
        words = [h.dataset, h.depth, h.width, h.kernel, h.reach]
        trained = f"{h.train_examples:,} x {h.epochs}"
        lines.append(line([*words, h.spatial, h.seed, trained, h.n, _format_psnr(one.psnr)]))
        twin = twins.twin_of(one, found)
        if twin is not None:
            gain = _format_psnr(one.psnr - twin.psnr, sign="+")
            lines.append(line([""] * 5 + ["*difference*", "", "", "", gain]))
    return "\n".join(lines) + "\n"


def picture_path(group: list[Decoding], results: Path) -> Path:
    """Return the path of the sheet of a pair, beside its records."""
    h = group[0].header
    words = "-".join([h.model, *(one.header.spatial.replace(":", "") for one in group)])
    stem = safe_name(f"{words}-s{h.seed}-{h.train_examples}x{h.epochs}")
    return results / "unshuffle" / safe_name(h.dataset) / f"{stem}.png"


def to_png(group: list[Decoding]) -> bytes:
    """Return the sheet of a pair as PNG."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(sheet(group)).save(buffer, format="PNG")
    return buffer.getvalue()


def sheet(group: list[Decoding]) -> np.ndarray:
    """Return a sheet of original, shuffled and decoded images, one column per image.

    Args:
        group: The decodings of a pair, of one shape, seed and training.

    Returns:
        Pixels, (height, width, 3) uint8.
    """
    rows = [group[0].pictures("original"), group[0].pictures("shuffled")]
    rows += [one.pictures("decoded") for one in group]
    scale = max(1, round(SCALE / max(group[0].header.image[1:])))
    bands = [_side_by_side([enlarge(image, scale) for image in row]) for row in rows]
    return np.concatenate([band for row in bands for band in (row, _white_band(row))][:-1])


def twin_groups(found: list[Decoding]) -> list[list[Decoding]]:
    """Group the decodings of one shape, seed and training, the learned one first.

    Those that kept no pictures are left out.
    """
    shown = sorted((one for one in found if one.pictures("original")), key=_order)
    return list(twins.groups(shown, "spatial").values())


def _order(one: Decoding) -> tuple[Any, ...]:
    h = one.header
    shape = (h.dataset, h.depth, h.width, h.kernel, h.patch)
    trained = (h.train_examples, h.epochs, h.device, h.data_hash, h.channel)
    return *shape, *trained, h.seed, h.spatial != "learned", h.spatial


def _format_psnr(values: np.ndarray, sign: str = "") -> str:
    low, high = mean_interval(values)
    return f"{values.mean():{sign}.2f} [{low:{sign}.2f}, {high:{sign}.2f}]"


def enlarge(image: np.ndarray, scale: int) -> np.ndarray:
    """Return an image (H, W, C) as (scale H, scale W, 3), grey repeated."""
    if image.shape[2] != 3:
        image = np.repeat(image[:, :, :1], 3, axis=2)
    return image.repeat(scale, axis=0).repeat(scale, axis=1)


def _side_by_side(images: list[np.ndarray]) -> np.ndarray:
    gap = np.full((images[0].shape[0], GAP, 3), 255, np.uint8)
    return np.concatenate([part for image in images for part in (image, gap)][:-1], axis=1)


def _white_band(band: np.ndarray) -> np.ndarray:
    return np.full((GAP, band.shape[1], 3), 255, np.uint8)
