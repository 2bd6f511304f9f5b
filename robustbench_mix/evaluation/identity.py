"""What makes a run this run: its header, and the path that follows from it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from robustbench_mix.attacks.voting import DRAWS
from robustbench_mix.config.canonical import short_hash
from robustbench_mix.evaluation.inputs import Inputs
from robustbench_mix.evaluation.plan import AttackPlan
from robustbench_mix.results import records
from robustbench_mix.results.records import Run
from robustbench_mix.runtime.devices import compute_environment
from robustbench_mix.runtime.provenance import comparable_values


@dataclass(frozen=True)
class Label:
    """The words a model goes by in records; `external` for what rbmix did not build."""

    model: str
    spatial: str
    channel: str
    seed: int


def header_of(
    label: Label,
    checkpoint: dict[str, Any],
    weights: str,
    inputs: Inputs,
    attack: AttackPlan,
    batch_size: int,
) -> dict[str, Any]:
    """Everything that decides the outcome, and how it was made.

    Args:
        label: The words that the network goes by.
        checkpoint: The header of its checkpoint, empty where there is none.
        weights: The hash of its weights.
        inputs: The images, and the device.
        attack: The protocol, and how it is run.
        batch_size: Images attacked at once.
    """
    protocol, split = attack.protocol, inputs.split
    return {
        **made_of(label, checkpoint, inputs.device),
        "dataset": inputs.dataset.name,
        "protocol": protocol.name,
        "norm": protocol.norm,
        "eps": [eps.text for eps in protocol.eps],
        "n": len(split),
        "protocol_spec": protocol.as_json(),
        "protocol_hash": protocol.hash,
        "checkpoint_hash": weights,
        "data_hash": split.hash,
        "batch_size": batch_size,
        "backend": attack.recorded_backend,
        # How many passes a verdict rests on.
        **({"randomised": DRAWS} if attack.randomised else {}),
    }


def made_of(label: Label, checkpoint: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """Which network, how it was trained, and what measures it: the part of every header."""
    recipe = checkpoint.get("recipe", {})
    return {
        **asdict(label),
        # Where weights come from that were not trained here.
        **({"weights": checkpoint["weights"]} if "weights" in checkpoint else {}),
        "train_examples": checkpoint.get("train_examples"),
        "epochs": recipe.get("epochs"),
        "adversarial": recipe.get("adversarial", {}).get("eps", ""),
        **compute_environment(device),
    }


def path_of(header: dict[str, Any], results: Path) -> Path:
    """Where the records of the run with this header belong."""
    parts = ("checkpoint_hash", "data_hash", "batch_size", "backend", "protocol_hash", "seed")
    return records.run_path(results, header, short_hash([header[name] for name in parts]))


def finished(path: Path, header: dict[str, Any]) -> Run | None:
    """The run at `path` if it is what this header would give.

    Raises RbmixError if the file is damaged.
    """
    if not path.exists():
        return None
    run = records.read(path)
    return run if agree(run.header, header) else None


def agree(kept: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Whether two headers are of one run; the commit and the number of threads may differ."""
    found = {"passes", "checked", "audit", "diagnostics", "smallest_batch", "commit"}
    first, second = (
        {name: comparable_values(header, [name]) for name in header if name not in found}
        for header in (kept, wanted)
    )
    return first == second
