"""Records of un-shuffling: one record per test image, in one Parquet file per network."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from robustbench_mix.errors import RbmixError
from robustbench_mix.results.headers import UnshufflingHeader
from robustbench_mix.storage import parquet_table
from robustbench_mix.storage.files import safe_name

DECODED = 8  # number of images whose pixels are kept
PICTURES = ("original", "shuffled", "decoded")


@dataclass(frozen=True)
class Decoding:
    """A header and, for each test image, its position and squared error.

    `mse` is the mean over pixels, in squared pixel units of [0, 1]; `DECODED`
    images, of all classes in turn, also have their pixels, uint8 bytes of shape
    header.image, as `original`, `shuffled` and `decoded`.
    """

    header: UnshufflingHeader
    table: pd.DataFrame

    @property
    def psnr(self) -> np.ndarray:
        """Peak signal-to-noise ratio of each image in dB, peak 1, (n,)."""
        return np.asarray(-10 * np.log10(self.table["mse"].to_numpy().clip(1e-10)))

    def pictures(self, name: str) -> list[np.ndarray]:
        """Return the kept images under one of the names of `PICTURES`, (H, W, C) uint8 each."""
        channels, height, width = self.header.image
        kept = [data for data in self.table[name] if data is not None]
        return [
            np.frombuffer(data, np.uint8).reshape(channels, height, width).transpose(1, 2, 0)
            for data in kept
        ]


def path_for(results: Path, dataset: str, model: str, spatial: str, seed: int, key: str) -> Path:
    """Return the path of the records of a network.

    Args:
        results: The results folder.
        dataset: The name of the data set.
        model: The name of the decoder.
        spatial: Its spatial mixers.
        seed: Its seed.
        key: A hash of the settings that the path does not name.
    """
    stem = safe_name(f"{model}-{spatial.replace(':', '')}-s{seed}-{key}")
    return results / "unshuffle" / safe_name(dataset) / f"{stem}.parquet"


def read(path: Path) -> Decoding:
    """Read one decoding; raise RbmixError if it is damaged or contradicts itself."""
    columns = {"image": "int64", "mse": "double", **dict.fromkeys(PICTURES, "binary?")}
    header, table = parquet_table.read(path, columns, UnshufflingHeader)
    parquet_table.check_values(path, table, 0, finite=["mse"])
    size = math.prod(header.image)
    sizes = {name: [0 if data is None else len(data) for data in table[name]] for name in PICTURES}
    first = sizes[PICTURES[0]]
    alike = all(one == first for one in sizes.values()) and set(first) <= {0, size}
    if not alike or first.count(size) > DECODED:
        raise RbmixError(f"records {path} are damaged (pictures that do not belong together)")
    return Decoding(header, table)


def read_all(results: Path) -> list[Decoding]:
    """Read every decoding under a results folder, in the order of the paths.

    Raises:
        RbmixError: A file is damaged, or two contradict each other.
    """
    paths = sorted((results / "unshuffle").glob("*/*.parquet"))
    found = [read(path) for path in paths]
    parquet_table.check_agreement(
        (
            path,
            f"data {one.header.data_hash}",
            (one.table["image"].tolist(), one.header.image),
        )
        for path, one in zip(paths, found, strict=True)
    )
    return found
