"""The identity of a run: its header, and the path that follows from it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from robustbench_mix.attacks.voting import DRAWS
from robustbench_mix.config.canonical import short_hash
from robustbench_mix.config.training import adversarial_words
from robustbench_mix.evaluation.attack_plan import AttackPlan
from robustbench_mix.evaluation.inputs import Inputs
from robustbench_mix.models.checkpoint import CheckpointHeader
from robustbench_mix.results import records
from robustbench_mix.results.headers import ProtocolSpec, RunIdentity
from robustbench_mix.results.records import Run
from robustbench_mix.results.twins import without_threads
from robustbench_mix.runtime.devices import compute_environment
from robustbench_mix.runtime.float32 import recorded_precision


@dataclass(frozen=True)
class Label:
    """The words a model goes by in records; `external` for what rbmix did not build."""

    model: str
    spatial: str
    channel: str
    seed: int


def header_of(
    label: Label,
    checkpoint: CheckpointHeader,
    weights: str,
    inputs: Inputs,
    attack: AttackPlan,
    batch_size: int,
) -> RunIdentity:
    """Return the header of a run: all that decides its outcome, and its provenance.

    Args:
        label: The words that the model goes by.
        checkpoint: The header of its checkpoint, empty where there is none.
        weights: The hash of its weights.
        inputs: The images, and the device.
        attack: The protocol, and how it is run.
        batch_size: How many images are attacked at once.
    """
    protocol, split = attack.protocol, inputs.split
    spec: dict[str, Any] = protocol.as_json()
    return RunIdentity(
        **network_fields(label, checkpoint, inputs.device),
        dataset=inputs.dataset.name,
        protocol=protocol.name,
        norm=protocol.norm,
        eps=[eps.text for eps in protocol.eps],
        n=len(split),
        protocol_spec=ProtocolSpec(**spec),
        protocol_hash=protocol.hash,
        checkpoint_hash=weights,
        data_hash=split.hash,
        batch_size=batch_size,
        backend=attack.recorded_backend,
        precision=recorded_precision(inputs.device),
        # Number of passes behind each decision.
        randomised=DRAWS if attack.randomised else None,
    )


def network_fields(
    label: Label, checkpoint: CheckpointHeader, device: torch.device
) -> dict[str, Any]:
    """Return the fields that all headers share: model, training, versions and device.

    Args:
        label: The words that the model goes by.
        checkpoint: The header of its checkpoint, empty where there is none.
        device: The device of the computation.
    """
    recipe = checkpoint.recipe
    return {
        **asdict(label),
        "weights": checkpoint.weights,
        "train_examples": checkpoint.train_examples,
        "epochs": recipe.epochs if recipe else None,
        "adversarial": adversarial_words(recipe) if recipe else "",
        **compute_environment(device),
    }


def path_of(header: RunIdentity, results: Path) -> Path:
    """Return where the records of the run with this header belong."""
    parts = [
        header.checkpoint_hash, header.data_hash, header.batch_size, header.backend,
        header.protocol_hash, header.seed,
    ]  # fmt: skip
    return records.run_path(results, header, short_hash(parts))


def read_finished(path: Path, header: RunIdentity) -> Run | None:
    """Return the run at `path` if it is what this header would give.

    Args:
        path: The path of its records.
        header: All that decides the outcome.

    Raises:
        RbmixError: The file is damaged.
    """
    if not path.exists():
        return None
    run = records.read(path)
    return run if are_of_one_run(run.header, header) else None


def are_of_one_run(kept: RunIdentity, wanted: RunIdentity) -> bool:
    """Return whether two headers are of one run.

    The commit, the number of threads and the name of the file with the weights may differ: their
    hash says which weights they are.
    """
    return not differences(kept, wanted)


def differences(kept: RunIdentity, wanted: RunIdentity) -> list[str]:
    """Return the names of the fields by which two headers are of different runs, in words."""
    first, second = _outcome(kept), _outcome(wanted)
    return [name.replace("_", " ") for name in first if first[name] != second[name]]


def _outcome(header: RunIdentity) -> dict[str, object]:
    fields = {name: getattr(header, name) for name in RunIdentity.__struct_fields__}
    return {**fields, "commit": "", "weights": "", "device": without_threads(header.device)}
