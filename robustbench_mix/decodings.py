"""What came out of un-shuffling: one record per test image, in one Parquet file per network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from robustbench_mix import tables
from robustbench_mix.provenance import alike

DECODED = 8  # images whose pixels are kept
PICTURES = ("original", "shuffled", "decoded")
# What two decodings must share to be of one pair.
PAIRED = (
    "model", "channel", "seed", "dataset", "data_hash", "train_examples", "epochs", "device"
)  # fmt: skip


@dataclass(frozen=True)
class Decoding:
    """A header and, for each test image, its position and squared error.

    `mse` is the mean over pixels, in squared pixel units of [0, 1]; `DECODED`
    images, of all classes in turn, also have their pixels, uint8 bytes of shape
    header["image"], as `original`, `shuffled` and `decoded`.
    """

    header: dict[str, Any]
    table: pd.DataFrame

    @property
    def psnr(self) -> np.ndarray:
        """Peak signal-to-noise ratio of each image in dB, peak 1, (n,)."""
        return np.asarray(-10 * np.log10(self.table["mse"].to_numpy().clip(1e-10)))

    def pictures(self, name: str) -> list[np.ndarray]:
        """The kept images under one of the names of `PICTURES`, (H, W, C) uint8 each."""
        channels, height, width = self.header["image"]
        kept = [data for data in self.table[name] if data is not None]
        return [
            np.frombuffer(data, np.uint8).reshape(channels, height, width).transpose(1, 2, 0)
            for data in kept
        ]


def path_for(results: Path, dataset: str, model: str, spatial: str, seed: int, key: str) -> Path:
    """Where the records of this network belong under a results folder."""
    stem = f"{model}-{spatial.replace(':', '')}-s{seed}-{key}"
    return results / "unshuffle" / dataset / f"{stem}.parquet"


def read(path: Path) -> Decoding:
    """Read one; raises RbmixError if it is damaged."""
    return Decoding(*tables.read(path, {"image", "mse", *PICTURES}))


def read_all(results: Path) -> list[Decoding]:
    """Every decoding under a results folder, in the order of the paths."""
    return [read(path) for path in sorted((results / "unshuffle").glob("*/*.parquet"))]


def twin_of(decoding: Decoding, decodings: list[Decoding]) -> Decoding | None:
    """The learned twin: the same in everything but the spatial mode."""
    if decoding.header["spatial"] == "learned":
        return None
    for other in decodings:
        if other.header["spatial"] == "learned" and alike(other.header, PAIRED) == alike(
            decoding.header, PAIRED
        ):
            return other
    return None
