"""Records of runs: one record per image, in one Parquet file per run.

A run is a model under a protocol on a fixed set of images. The file's metadata holds the header
(what was run, on which data, with which versions). The whole file is a function of the inputs, so
that running again gives the same bytes. Date and durations, which are not, are in a JSON file of
the same stem beside it.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from robustbench_mix.config.epsilon import Eps
from robustbench_mix.errors import MAX_LISTED, RbmixError, suggestion
from robustbench_mix.results.headers import RunHeader, RunIdentity
from robustbench_mix.results.intervals import wilson
from robustbench_mix.storage import parquet_table, reading, validation
from robustbench_mix.storage.files import (
    MAX_NAME_CHARACTERS,
    replacing,
    safe_name,
    write_bytes,
    write_text,
)
from robustbench_mix.storage.parquet_table import KEY
from robustbench_mix.storage.validation import Header, Name, NonNegative, Text, is_name

COLUMNS = {
    "image": "int64",
    "label": "int64",
    "prediction": "int64",
    "margin": "double",
    "correct": "bool",
    "broken": "[bool]",
    "component": "[string]",
    "norm": "[double]",
    "inferred": "[bool]",
    "forward": "int64?",
    "gradient": "int64?",
}
OPTIONAL_COLUMNS = {"inferred", "forward", "gradient"}  # columns that older files lack
LISTS_BY_EPS = ("broken", "component", "norm", "inferred")


class Companion(Header, frozen=True, kw_only=True):
    """The JSON file beside the records, for what is not a function of the inputs."""

    date: Text
    time_seconds: dict[Name, NonNegative]


@dataclass(frozen=True)
class Run:
    """A header and its records, one row per image.

    The columns: `image` (position in the test split), `label`, `prediction` (clean), `margin` (the
    clean logit of the label minus the largest other) and `correct` (clean). Four are lists along
    the epsilon grid of the header: `broken` (an adversarial example within that epsilon was
    verified), `component` (the attack that found it, '' if none), `norm` (its verified norm, NaN if
    none) and `inferred` (not broken, and attacked only at a larger epsilon). `forward` and
    `gradient` are the passes spent on the image, missing if a library does not tell. An image that
    is misclassified clean is never attacked.
    """

    header: RunHeader
    table: pd.DataFrame
    date: str = ""
    time_seconds: dict[str, float] = field(default_factory=dict)

    @property
    def eps(self) -> list[str]:
        """The epsilon grid as exact text, ascending, without 0."""
        return list(self.header.eps)

    def radius(self, position: int) -> float:
        """Return the epsilon at a grid index, in pixel units."""
        return Eps(self.eps[position]).value

    @property
    def backend(self) -> str:
        """`reference` or `fast`; the oldest files do not name it."""
        return self.header.backend or "reference"

    def audit_bound(self, eps: str) -> float:
        """Return the share of images that may stand only because the audit left them out.

        With 95 % confidence at most this share does; NaN for a run that was not audited.
        """
        audit = self.header.audit
        if not audit:
            return math.nan
        return 0.0 if eps == "0" else audit[self.eps.index(eps)].bound

    def audit_sampled(self, eps: str) -> int | None:
        """Return how many images of the audit met the whole ensemble, None without an audit."""
        audit = self.header.audit
        return audit[self.eps.index(eps)].sampled if audit and eps != "0" else None

    def standing(self) -> pd.DataFrame:
        """Return whether each image is correct and not broken: bool, (n, '0' and each epsilon)."""
        correct = self.table["correct"].to_numpy(bool)
        broken = np.array(self.table["broken"].tolist(), bool).reshape(-1, len(self.eps))
        columns = dict(zip(self.eps, (correct[:, None] & ~broken).T, strict=True))
        return pd.DataFrame({"0": correct, **columns}, index=self.table["image"].to_numpy())


def curve(correct: dict[str, int], n: int) -> pd.DataFrame:
    """Return one row per epsilon: `eps`, `n`, `correct`, `accuracy`, Wilson bounds `low`, `high`.

    Args:
        correct: Number of images that are correct and not broken, for 0 and each epsilon as text.
        n: Number of images.
    """
    rows = [
        (eps, n, count, accuracy(count, n), *wilson(count, n)) for eps, count in correct.items()
    ]
    return pd.DataFrame(rows, columns=["eps", "n", "correct", "accuracy", "low", "high"])


def run_path(results: Path, header: RunIdentity, key: str) -> Path:
    """Return the path of the records of a run.

    Args:
        results: The results folder.
        header: All that decides the outcome.
        key: A hash of it, for the parts that the path does not name.
    """
    words = [header.model, header.spatial, header.channel, f"s{header.seed}"]
    stem = "-".join([*words, header.protocol, key])
    return results / "runs" / safe_name(header.dataset) / f"{safe_name(stem)}.parquet"


def paths_like(results: Path, header: RunIdentity) -> list[Path]:
    """Return the records whose names differ from those of this run in the spatial mixers at most.

    Long names end in a hash, which tells nothing, so such records are among them.
    """
    begins = safe_name(f"{header.model}-")
    ends = safe_name(f"-{header.channel}-s{header.seed}-{header.protocol}-")
    return [
        path
        for path in sorted(run_path(results, header, "").parent.glob("*.parquet"))
        if (path.stem.startswith(begins) and ends in path.stem)
        or len(path.stem) == MAX_NAME_CHARACTERS
    ]


def write(run: Run, path: Path) -> None:
    """Write date and durations, then the records beside them."""
    import pyarrow as pa
    from pyarrow import parquet

    beside = {"date": run.date, "time_seconds": run.time_seconds}
    write_text(path.with_suffix(".json"), json.dumps(beside, sort_keys=True) + "\n")
    schema = pa.schema(
        [
            ("image", pa.int64()),
            ("label", pa.int64()),
            ("prediction", pa.int64()),
            ("margin", pa.float64()),
            ("correct", pa.bool_()),
            ("broken", pa.list_(pa.bool_())),
            ("component", pa.list_(pa.string())),
            ("norm", pa.list_(pa.float64())),
            ("inferred", pa.list_(pa.bool_())),
            ("forward", pa.int64()),
            ("gradient", pa.int64()),
        ],
        metadata={KEY: validation.encode(run.header).encode()},
    )
    table = pa.Table.from_pydict(
        {name: _plain_values(run.table[name]) for name in COLUMNS}, schema=schema
    )
    with replacing(path) as temporary:
        parquet.write_table(table, temporary)


def archive_replaced(path: Path, results: Path, by: Run) -> Path | None:
    """Keep the records at `path` under `replaced/` before others take their place.

    Files there are never read, so that no model counts twice. A damaged file is kept too.

    Args:
        path: The Parquet file.
        results: The results folder.
        by: The run that will take its place.

    Returns:
        The path of the kept records; None if there were none, or if they were made under the same
        conditions.
    """
    if not path.exists():
        return None
    content = path.read_bytes()
    try:
        if _conditions(read(path)) == _conditions(by):
            return None
    except RbmixError:
        pass
    key = hashlib.sha256(content).hexdigest()[:12]
    kept = results / "replaced" / path.parent.name / f"{path.stem}-{key}.parquet"
    beside = path.with_suffix(".json")
    if beside.exists():
        write_bytes(kept.with_suffix(".json"), beside.read_bytes())
    write_bytes(kept, content)
    return kept


def read(path: Path) -> Run:
    """Read one run; raise RbmixError if the file is damaged or contradicts itself."""
    header, frame = parquet_table.read(path, COLUMNS, RunHeader, OPTIONAL_COLUMNS)
    _check_table(frame, len(header.eps), path)
    if "inferred" not in frame:  # older records, in which nothing was inferred
        frame["inferred"] = [[False] * len(header.eps)] * len(frame)
    for name in ("forward", "gradient"):
        values = frame[name] if name in frame else pd.Series([None] * len(frame))
        frame[name] = values.astype("Int64")
    beside = path.with_suffix(".json")
    if not beside.exists():
        return Run(header, frame)
    refusal = f"{beside} is damaged"
    plain = reading.parse_json(
        reading.read_bytes(beside, "durations", reading.MAX_COMPANION_BYTES), refusal
    )
    extra = validation.decode(plain, Companion, refusal)
    return Run(header, frame, extra.date, extra.time_seconds)


def read_all(results: Path) -> list[Run]:
    """Read every run under a results folder, in the order of the paths.

    Raises:
        RbmixError: A file is damaged, or two contradict each other.
    """
    paths = _paths(results)
    runs = [read(path) for path in paths]
    parquet_table.check_agreement(
        fact for path, run in zip(paths, runs, strict=True) for fact in _comparable_facts(path, run)
    )
    return runs


def select_run(results: Path, wanted: dict[str, Any]) -> Run:
    """Return the one run under a results folder whose header has these values.

    Args:
        results: The results folder.
        wanted: Values by the name of their field.

    Raises:
        RbmixError: No run fits, or several do; the message names what there is.
    """

    def value_of(run: Run, name: str) -> Any:
        return run.backend if name == "backend" else getattr(run.header, name)

    fit = list(zip(_paths(results), read_all(results), strict=True))
    if not fit:
        raise RbmixError(f"{results} holds no records (looked for runs/*/*.parquet)")
    met: list[str] = []
    for name, value in wanted.items():
        there = sorted({str(value_of(run, name)) for _, run in fit})
        fit = [(path, run) for path, run in fit if value_of(run, name) == value]
        if not fit:
            so_far = f" with {', '.join(met)}" if met else ""
            hint, listed = suggestion(str(value), there)
            raise RbmixError(
                f"no run in {results}{so_far} has {name} {value}{hint} (there are: {listed})"
            )
        met.append(f"{name} {value}")
    if len(fit) > 1:
        raise RbmixError(
            f"{len(fit)} runs fit: say more of it, or give its file instead of {results}",
            [str(path) for path, _ in fit[:MAX_LISTED]],
        )
    return fit[0][1]


def _conditions(run: Run) -> tuple[object, ...]:
    """Return what numbers depend on besides the inputs."""
    return run.header.device, run.header.versions, run.header.commit


def _paths(results: Path) -> list[Path]:
    return sorted((results / "runs").glob("*/*.parquet"))


def _comparable_facts(path: Path, run: Run) -> Iterator[tuple[Path, str, Any]]:
    h = run.header
    yield path, f"data {h.data_hash}", (run.table["image"].tolist(), run.table["label"].tolist())
    yield path, f"protocol {h.protocol_hash}", (h.norm, run.eps)


def _check_table(frame: pd.DataFrame, levels: int, path: Path) -> None:
    """Raise RbmixError unless lists are as long as the grid and broken images stay broken."""
    refusal = f"records {path} are damaged"
    lists = [frame[name].tolist() for name in LISTS_BY_EPS if name in frame]
    named: set[str] = {""}  # the components whose names were looked at
    for image, correct, broken, component, *rows in zip(
        frame["image"], frame["correct"], frame["broken"], frame["component"], *lists, strict=True
    ):
        if any(len(values) != levels for values in rows):
            raise RbmixError(f"{refusal} (image {image}: short list)")
        if any(more < less for less, more in pairwise(broken)) or (broken[-1] and not correct):
            raise RbmixError(f"{refusal} (image {image}: not nested)")
        if not all(name in named or is_name(name) for name in component):
            raise RbmixError(f"{refusal} (image {image}: a component without a name)")
        named.update(component)
    if ((frame["label"] == frame["prediction"]) != frame["correct"]).any():
        raise RbmixError(f"{refusal} (correct is not what the prediction says)")
    parquet_table.check_values(path, frame, levels, finite=["margin"])


def _plain_values(column: pd.Series) -> list[Any]:
    return [None if value is pd.NA else value for value in column.tolist()]


def accuracy(correct: int, n: int) -> float:
    """Return correct / n, NaN for an empty set."""
    return correct / n if n else math.nan
