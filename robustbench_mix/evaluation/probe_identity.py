"""What probes and transfers share: their headers, their places, and how they are written."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import pandas as pd

from robustbench_mix.config.canonical import short_hash
from robustbench_mix.evaluation.identity import Label, network_fields
from robustbench_mix.evaluation.inputs import Inputs
from robustbench_mix.models.checkpoint import CheckpointHeader
from robustbench_mix.results import probes
from robustbench_mix.results.headers import ProbeIdentity
from robustbench_mix.runtime import provenance
from robustbench_mix.storage import parquet_table
from robustbench_mix.storage.locks import exclusive_lock
from robustbench_mix.storage.parquet_table import TableHeader

logger = logging.getLogger(__name__)

BATCH = 250  # images that are measured at once


def header_of(
    kind: Literal["probe", "transfer"],
    label: Label,
    checkpoint: CheckpointHeader,
    inputs: Inputs,
    eps: Sequence[str],
) -> ProbeIdentity:
    """Return the header of the records: all that decides the outcome, and its provenance.

    Args:
        kind: Which records.
        label: The words that the network goes by in records.
        checkpoint: The header of the network's checkpoint.
        inputs: The images, and the device.
        eps: The epsilons, as exact texts.
    """
    return ProbeIdentity(
        **network_fields(label, checkpoint, inputs.device),
        kind=kind,
        dataset=inputs.dataset.name,
        eps=list(eps),
        n=len(inputs.split),
        data_hash=inputs.split.hash,
    )


def path_of(header: ProbeIdentity, results: Path, *weights: str) -> Path:
    """Return the path of the records of networks with these hashes of weights."""
    key = short_hash([header.data_hash, header.eps, *weights])
    return probes.path_for(results, header, key)


def measured_once(path: Path, measure: Callable[[], None]) -> Path:
    """Measure what belongs at a path, unless it is there, and return the path.

    Args:
        path: The path of the records.
        measure: Measures, and writes them.
    """
    with exclusive_lock(path):
        if path.exists():
            logger.info(f"already measured, see {path}")
        else:
            measure()
    return path


def write(path: Path, header: TableHeader, table: pd.DataFrame, started: float) -> None:
    """Write records of a probe or a transfer.

    Args:
        path: The path of the records.
        header: Their header.
        table: One row for each image.
        started: When the measuring began, by `time.perf_counter`.
    """
    beside = {"date": provenance.today(), "time_seconds": time.perf_counter() - started}
    parquet_table.write(path, header, table, beside)
