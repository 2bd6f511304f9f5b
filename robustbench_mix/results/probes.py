"""What was measured to explain a network's robustness: one record per image, and spectra.

A *probe* is of one network; a *transfer* is of a network and its learned twin, each under
the adversarial examples of both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from robustbench_mix.errors import RbmixError
from robustbench_mix.results import schemas
from robustbench_mix.storage import parquet_table, validation
from robustbench_mix.storage.files import safe_name

# What twins must share.
PAIRED = ("model", "channel", "seed", "dataset", "data_hash", "train_examples", "epochs", "device")
SIDES = ("first", "second")
ATTACKS = ("fgsm", "pgd")
SHOWN = 6  # images whose smallest perturbations are kept
PICTURES = (
    "label", "clean", "adversarial_first", "adversarial_second", "says_first_first",
    "says_first_second", "says_second_first", "says_second_second",
)  # fmt: skip
PIXELS = ("clean", "adversarial_first", "adversarial_second")
COLUMNS = {
    "probe": {
        "image": "int64", "correct": "bool", "real": "[double]", "predicted": "[double]",
        **dict.fromkeys(("margin", "grad_l1", "grad_l2", "distance"), "double"),
    },
    "transfer": {
        "image": "int64", "first": "bool", "second": "bool",
        **{f"{attack}_{made}_{judged}": "[bool]"
           for attack in ATTACKS for made in SIDES for judged in SIDES},
        # A column of numbers that lacks some is one of floats.
        **{name: "binary?" if name in PIXELS else "int64|double?" for name in PICTURES},
    },
}  # fmt: skip
HEADERS = {"probe": schemas.PROBE, "transfer": schemas.TRANSFER}


@dataclass(frozen=True)
class Probe:
    """A header and one row per image.

    kind `probe`: `correct`, `margin` (logits), `grad_l1`, `grad_l2` (norms of its input
    gradient), `distance` (smallest l-infinity norm found by FMN, infinite if none, 0 if the
    image is misclassified), and along header["eps"] the margins one FGSM step away, `real`,
    and as the gradient predicts them, `predicted`. The header holds `filters`, `composed` and
    `perturbation` (shares of power per band of frequency), `heat_map` (accuracy under a wave
    of l2 norm header["wave_norm"]) and `heat_map_n`.

    kind `transfer`: `first` and `second` (clean-correct under the learned network and under
    the other), and `fgsm_first_second` and the like: along header["eps"], whether the example
    made on the first is misclassified by the second. For a few images, `PICTURES`: the smallest
    perturbation of each network, and the class that each takes it for.
    """

    header: dict[str, Any]
    table: pd.DataFrame

    def pixels(self, name: str) -> list[np.ndarray]:
        """The kept images under a name, (H, W, C) float32 in [0, 1] each."""
        channels, height, width = self.header["shape"]
        kept = [data for data in self.table[name] if data is not None]
        return [
            np.frombuffer(data, np.float32).reshape(channels, height, width).transpose(1, 2, 0)
            for data in kept
        ]

    def matrix(self, name: str) -> np.ndarray:
        """A column of lists as an array, (n, len(eps))."""
        return np.array(self.table[name].tolist())


def path_for(results: Path, header: dict[str, Any], key: str) -> Path:
    """Where this belongs under a results folder."""
    spatial = header["spatial"].replace(":", "")
    words = (header["kind"], header["model"], spatial, header["channel"], f"s{header['seed']}")
    stem = safe_name("-".join([*words, key]))
    return results / "probes" / safe_name(header["dataset"]) / f"{stem}.parquet"


def read(path: Path) -> Probe:
    """Read one, of the kind that its name says.

    Raises RbmixError if it is damaged or contradicts itself.
    """
    kind = "transfer" if path.name.startswith("transfer-") else "probe"
    checks = {**HEADERS[kind], "kind": validation.among(kind)}
    header, table = parquet_table.read(path, COLUMNS[kind], checks)
    finite = ["margin", "grad_l1", "grad_l2", "real", "predicted"] if kind == "probe" else []
    parquet_table.check_values(path, table, len(header["eps"]), finite=finite)
    if kind == "transfer":
        _check_pictures(path, header, table)
    elif len({len(row) for row in header["heat_map"]}) > 1 or not (table["distance"] >= 0).all():
        raise RbmixError(f"records {path} are damaged (heat map or distances)")
    return Probe(header, table)


def read_all(results: Path, kind: str) -> list[Probe]:
    """Every probe of a kind under a results folder, in the order of the paths.

    Raises RbmixError also where two contradict each other.
    """
    paths = sorted((results / "probes").glob(f"*/{kind}-*.parquet"))
    found = [read(path) for path in paths]
    parquet_table.check_agreement(
        (path, f"data {one.header['data_hash']}", _seen(one))
        for path, one in zip(paths, found, strict=True)
    )
    return found


def _seen(probe: Probe) -> Any:
    """What follows from the images alone."""
    heat_map = probe.header.get("heat_map") or [[]]
    return probe.table["image"].tolist(), (len(heat_map), len(heat_map[0]))


def _check_pictures(path: Path, header: dict[str, Any], table: pd.DataFrame) -> None:
    """Raise RbmixError unless a row has all that belongs to its pictures, or none of it."""
    shown = table[list(PICTURES)][table["clean"].notna()]
    size = 4 * math.prod(header["shape"])
    classes = range(len(header["classes"]))
    for name in PICTURES:
        fits = (
            all(value in classes for value in shown[name])
            if name not in PIXELS
            else all(isinstance(value, bytes) and len(value) == size for value in shown[name])
            and all(np.isfinite(np.frombuffer(value, np.float32)).all() for value in shown[name])
        )
        if not fits or table[name].count() != len(shown):
            raise RbmixError(f"records {path} are damaged (pictures: {name})")
