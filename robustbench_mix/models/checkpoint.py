"""Checkpoints: a safetensors file whose metadata is a JSON header.

The header holds the settings of the weights (spec, recipe, data), their accuracy and their hash.
Loading checks the hash and every name and shape.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from robustbench_mix.config.canonical import as_json, short_hash
from robustbench_mix.config.model import ModelSpec
from robustbench_mix.config.training import Recipe
from robustbench_mix.errors import RbmixError
from robustbench_mix.models import state_dict
from robustbench_mix.storage import reading
from robustbench_mix.storage.files import safe_name, write_bytes
from robustbench_mix.storage.paths import cache_folder
from robustbench_mix.storage.validation import Check, count, holding, is_name, maybe, number, verify

KEY = "rbmix"
FORMAT = 1
HEADER: dict[str, Check] = {
    "weights_hash": is_name,
    "recipe": maybe(holding(epochs=count(1), adversarial=maybe(holding(eps=is_name)))),
    "dataset": maybe(is_name),
    "train_examples": maybe(count(1)),
    "test_accuracy": maybe(number(0, 1)),
    "time_seconds": maybe(number(0)),
}


def path_for(spec: ModelSpec, recipe: Recipe, dataset: str, data_hash: str) -> Path:
    """Return the path in the cache for exactly these settings."""
    key = short_hash([FORMAT, as_json(spec), as_json(recipe), data_hash])
    words = (spec.model, spec.spatial.replace(":", ""), spec.channel, f"s{spec.seed}", dataset, key)
    return cache_folder() / "checkpoints" / f"{safe_name('-'.join(words))}.safetensors"


def weights_hash(model: nn.Module) -> str:
    """Return 12 hexadecimal digits of the SHA-256 of every name, dtype, shape and value."""
    digest = hashlib.sha256()
    for name, tensor in sorted(_tensors(model).items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:12]


def save(model: nn.Module, header: dict[str, Any], path: Path) -> None:
    """Write weights and header (plain JSON values) to `path`, whole or not at all."""
    import safetensors.torch

    header = {"format": FORMAT, **header, "weights_hash": weights_hash(model)}
    raw = safetensors.torch.save(_tensors(model), {KEY: json.dumps(header, sort_keys=True)})
    write_bytes(path, raw)


def read_header(path: Path) -> dict[str, Any]:
    """The JSON header of a checkpoint; raises RbmixError if there is none to read."""
    from safetensors import safe_open

    if not path.exists():
        raise RbmixError(f"checkpoint {path} does not exist")
    refusal = f"checkpoint {path} is damaged or not rbmix's"
    reading.check_file(path, "checkpoint", reading.MAX_WEIGHTS_BYTES)
    with reading.refuse_on_error(refusal), safe_open(path, framework="pt") as file:
        raw = (file.metadata() or {})[KEY].encode()
    return verify(reading.parse_json(raw, refusal), HEADER, refusal)


def is_rbmix_checkpoint(path: Path) -> bool:
    """Return whether a file is a checkpoint that rbmix wrote, with its header."""
    try:
        return "spec" in read_header(path)
    except RbmixError:
        return False


def load(model: nn.Module, path: Path) -> dict[str, Any]:
    """Load a checkpoint into `model` and return its header.

    Raises RbmixError if the file is damaged, belongs to another network, or its weights
    do not hash to what the header says.
    """
    header = read_header(path)
    state_dict.load(model, path)
    if header.get("weights_hash") != weights_hash(model):
        raise RbmixError(f"checkpoint {path}: the weights do not match the header's hash")
    return header


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    return {name: t.detach().cpu().contiguous() for name, t in model.state_dict().items()}
