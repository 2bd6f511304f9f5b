"""Checkpoints: a safetensors file whose metadata is a JSON header.

The header holds the settings of the weights (spec, recipe, data), their accuracy and their hash.
Loading checks the hash and every name and shape.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec
import torch
from msgspec.structs import replace
from torch import Tensor, nn

from robustbench_mix.config.canonical import as_json, short_hash
from robustbench_mix.config.model import ModelSpec
from robustbench_mix.config.training import Recipe
from robustbench_mix.errors import RbmixError
from robustbench_mix.models import state_dict
from robustbench_mix.storage import reading
from robustbench_mix.storage.files import safe_name, write_bytes
from robustbench_mix.storage.paths import cache_folder
from robustbench_mix.storage.validation import (
    Header,
    Name,
    NonNegative,
    Positive,
    Share,
    Text,
    decode,
)

KEY = "rbmix"
FORMAT = 1


class CheckpointHeader(Header, frozen=True, kw_only=True):
    """The header of a checkpoint: all that is known of its weights; None and '' if unknown.

    `train_hash` is the hash of the training images, `image` their channels, height and width.
    `test_accuracy` is a share. `weights` names the file or tag of weights that were not trained
    here; such a header is in no file.
    """

    format: int | None = None
    weights_hash: Text = ""
    spec: ModelSpec | None = None
    recipe: Recipe | None = None
    dataset: Name | None = None
    classes: list[str] | None = None
    image: list[int] | None = None
    train_examples: Positive | None = None
    train_hash: str | None = None
    test_accuracy: Share | None = None
    time_seconds: NonNegative | None = None
    device: str | None = None
    versions: dict[str, str] | None = None
    commit: str | None = None
    date: str | None = None
    weights: str | None = None


def as_plain(header: CheckpointHeader) -> dict[str, Any]:
    """Return the header as plain JSON values with sorted names, as in files."""
    plain = msgspec.to_builtins(header)
    if header.spec is not None:
        plain["spec"] = as_json(header.spec)
    if header.recipe is not None:
        plain["recipe"] = as_json(header.recipe)
    found: dict[str, Any] = json.loads(json.dumps(plain, sort_keys=True))
    return found


def path_for(spec: ModelSpec, recipe: Recipe, dataset: str, data_hash: str) -> Path:
    """Return the path in the cache for exactly these settings.

    Args:
        spec: The network.
        recipe: The recipe of its training.
        dataset: The name of the data set.
        data_hash: The hash of the training images.
    """
    key = short_hash([FORMAT, as_json(spec), as_json(recipe), data_hash])
    words = (spec.model, spec.spatial.replace(":", ""), spec.channel, f"s{spec.seed}", dataset, key)
    return cache_folder() / "checkpoints" / f"{safe_name('-'.join(words))}.safetensors"


def weights_hash(model: nn.Module) -> str:
    """Return 12 hexadecimal digits of the SHA-256 of every name, dtype, shape and value."""
    return _hash(_tensors(model))


def _hash(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:12]


def save(model: nn.Module, header: CheckpointHeader, path: Path) -> None:
    """Write weights and header to `path` atomically.

    Args:
        model: The network.
        header: Its header; the format and the hash of the weights are filled in.
        path: The path of the checkpoint.
    """
    import safetensors.torch

    complete = replace(header, format=FORMAT, weights_hash=weights_hash(model))
    text = json.dumps(as_plain(complete), sort_keys=True)
    write_bytes(path, safetensors.torch.save(_tensors(model), {KEY: text}))


def read_header(path: Path) -> CheckpointHeader:
    """Read the header of a checkpoint; raise RbmixError if it cannot be read."""
    from safetensors import safe_open

    if not path.exists():
        raise RbmixError(f"checkpoint {path} does not exist")
    refusal = f"checkpoint {path} is damaged or not rbmix's"
    reading.check_file(path, "checkpoint", reading.MAX_WEIGHTS_BYTES)
    with reading.refuse_on_error(refusal), safe_open(path, framework="pt") as file:
        raw = (file.metadata() or {})[KEY].encode()
    header = decode(reading.parse_json(raw, refusal), CheckpointHeader, refusal)
    if not header.weights_hash:
        raise RbmixError(f"{refusal} (header: no weights_hash)")
    return header


def is_rbmix_checkpoint(path: Path) -> bool:
    """Return whether a file is a checkpoint that rbmix wrote, with its header."""
    try:
        return read_header(path).spec is not None
    except RbmixError:
        return False


def check_whole(path: Path) -> CheckpointHeader:
    """Return the header of a checkpoint whose weights have the hash in it.

    Raises:
        RbmixError: The file is damaged, not rbmix's, or has other weights.
    """
    from safetensors.torch import load_file

    header = read_header(path)
    with reading.refuse_on_error(f"checkpoint {path} is damaged"):
        kept = load_file(path)
        # A file may keep less precision than the network computes with.
        values = {n: t.float() if t.is_floating_point() else t for n, t in kept.items()}
        found = _hash(values)
    if found != header.weights_hash:
        raise RbmixError(f"checkpoint {path}: the weights do not match the header's hash")
    return header


def load(model: nn.Module, path: Path) -> CheckpointHeader:
    """Load a checkpoint into `model` and return its header.

    Raises:
        RbmixError: The file is damaged, belongs to another network, or the hash of its weights
            is not that of the header.
    """
    header = read_header(path)
    state_dict.load(model, path)
    if header.weights_hash != weights_hash(model):
        raise RbmixError(f"checkpoint {path}: the weights do not match the header's hash")
    return header


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    return {name: _plain(tensor) for name, tensor in state_dict.tensors(model).items()}


def _plain(tensor: Tensor) -> Tensor:
    """Return a tensor of any layout as an ordinary one on the CPU."""
    plain = tensor.detach().cpu()
    if plain.is_quantized:
        plain = plain.dequantize()
    return (plain if plain.layout == torch.strided else plain.to_dense()).contiguous()
