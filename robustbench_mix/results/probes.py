"""Records of measurements that explain a model's robustness: one per image, and spectra.

A *probe* is of one model; a *transfer* is of a model and its learned twin, each under the
adversarial examples of both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from robustbench_mix.errors import RbmixError
from robustbench_mix.results.headers import ProbeHeader, ProbeIdentity, TransferHeader
from robustbench_mix.storage import parquet_table
from robustbench_mix.storage.files import safe_name

SIDES = ("first", "second")
ATTACKS = ("fgsm", "pgd")
MAX_PICTURES = 10  # number of images whose smallest perturbations are kept, of all classes in turn
PICTURES = (
    "label", "clean", "adversarial_first", "adversarial_second", "says_first_first",
    "says_first_second", "says_second_first", "says_second_second",
)  # fmt: skip
PIXELS = ("clean", "adversarial_first", "adversarial_second")
PROBE_COLUMNS = {
    "image": "int64", "correct": "bool", "real": "[double]", "predicted": "[double]",
    **dict.fromkeys(("margin", "grad_l1", "grad_l2", "distance"), "double"),
}  # fmt: skip
TRANSFER_COLUMNS = {
    "image": "int64", "first": "bool", "second": "bool",
    **{f"{attack}_{made}_{judged}": "[bool]"
       for attack in ATTACKS for made in SIDES for judged in SIDES},
    # An integer column with missing values becomes one of floats.
    **{name: "binary?" if name in PIXELS else "int64|double?" for name in PICTURES},
}  # fmt: skip


@dataclass(frozen=True)
class Probe:
    """A header and one row per image.

    The columns: `correct`, `margin` (logits), `grad_l1` and `grad_l2` (norms of its input
    gradient), `distance` (smallest l-infinity norm that FMN found, infinite if none, 0 if the
    image is misclassified), and lists along the epsilons of the header: `real`, the margins one
    FGSM step away, and `predicted`, their prediction by the gradient.
    """

    header: ProbeHeader
    table: pd.DataFrame

    def matrix(self, name: str) -> np.ndarray:
        """Return a column of lists as an array, (n, epsilons)."""
        return _matrix(self.table, name)


@dataclass(frozen=True)
class Transfer:
    """A header and one row per image.

    The columns: `first` and `second`, whether the image is classified correctly by the learned
    model and by the other, and `fgsm_first_second` and the like: a list along the epsilons of
    the header, whether the example made on the first model is misclassified by the second. A
    few images have `PICTURES`: the smallest perturbation of each model, and the class that each
    model predicts for it.
    """

    header: TransferHeader
    table: pd.DataFrame

    def matrix(self, name: str) -> np.ndarray:
        """Return a column of lists as an array, (n, epsilons)."""
        return _matrix(self.table, name)

    def pixels(self, name: str) -> list[np.ndarray]:
        """Return the kept images under a name, (H, W, C) float32 in [0, 1] each."""
        channels, height, width = self.header.shape
        kept = [data for data in self.table[name] if data is not None]
        return [
            np.frombuffer(data, np.float32).reshape(channels, height, width).transpose(1, 2, 0)
            for data in kept
        ]


def path_for(results: Path, header: ProbeIdentity, key: str) -> Path:
    """Return the path of the records with this header.

    Args:
        results: The results folder.
        header: All that decides the outcome.
        key: A hash of it, for the parts that the path does not name.
    """
    spatial = header.spatial.replace(":", "")
    words = (header.kind, header.model, spatial, header.channel, f"s{header.seed}")
    stem = safe_name("-".join([*words, key]))
    return results / "probes" / safe_name(header.dataset) / f"{stem}.parquet"


def read_probe(path: Path) -> Probe:
    """Read one probe; raise RbmixError if it is damaged or contradicts itself."""
    header, table = parquet_table.read(path, PROBE_COLUMNS, ProbeHeader)
    finite = ["margin", "grad_l1", "grad_l2", "real", "predicted"]
    parquet_table.check_values(path, table, len(header.eps), finite=finite)
    if not (table["distance"] >= 0).all():
        raise RbmixError(f"records {path} are damaged (distances)")
    return Probe(header, table)


def read_transfer(path: Path) -> Transfer:
    """Read one transfer; raise RbmixError if it is damaged or contradicts itself."""
    header, table = parquet_table.read(path, TRANSFER_COLUMNS, TransferHeader)
    parquet_table.check_values(path, table, len(header.eps), finite=[])
    _check_pictures(path, header, table)
    return Transfer(header, table)


def read_probes(results: Path) -> list[Probe]:
    """Read every probe under a results folder, in the order of the paths.

    Raises:
        RbmixError: A file is damaged, or two contradict each other.
    """
    found = {path: read_probe(path) for path in _paths(results, "probe")}
    parquet_table.check_agreement(
        (path, f"data {one.header.data_hash}", _from_images_alone(one))
        for path, one in found.items()
    )
    return list(found.values())


def read_transfers(results: Path) -> list[Transfer]:
    """Read every transfer under a results folder; as `read_probes`."""
    found = {path: read_transfer(path) for path in _paths(results, "transfer")}
    parquet_table.check_agreement(
        (path, f"data {one.header.data_hash}", one.table["image"].tolist())
        for path, one in found.items()
    )
    return list(found.values())


def _paths(results: Path, kind: str) -> list[Path]:
    return sorted((results / "probes").glob(f"*/{kind}-*.parquet"))


def _matrix(table: pd.DataFrame, name: str) -> np.ndarray:
    return np.array(table[name].tolist())


def _from_images_alone(probe: Probe) -> tuple[object, ...]:
    heat_map = probe.header.heat_map
    return probe.table["image"].tolist(), len(heat_map), len(heat_map[0])


def _check_pictures(path: Path, header: TransferHeader, table: pd.DataFrame) -> None:
    """Raise RbmixError unless each row has all columns of its pictures, or none."""
    shown = table[list(PICTURES)][table["clean"].notna()]
    size = 4 * math.prod(header.shape)
    classes = range(len(header.classes))
    for name in PICTURES:
        fits = (
            all(value in classes for value in shown[name])
            if name not in PIXELS
            else all(isinstance(value, bytes) and len(value) == size for value in shown[name])
            and all(np.isfinite(np.frombuffer(value, np.float32)).all() for value in shown[name])
        )
        if not fits or table[name].count() != len(shown):
            raise RbmixError(f"records {path} are damaged (pictures: {name})")
