"""Checkpoints: a safetensors file whose metadata is a JSON header.

The header says what the weights are (spec, recipe, data), how good they came out, and
what they hash to; loading checks that hash and every name and shape.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from robustbench_mix import headers, reading
from robustbench_mix.errors import RbmixError
from robustbench_mix.files import home, safe_name, write_bytes
from robustbench_mix.specs import ModelSpec, Recipe, as_json, short_hash

KEY = "rbmix"
FORMAT = 1


def path_for(spec: ModelSpec, recipe: Recipe, dataset: str, data_hash: str) -> Path:
    """The cache path that belongs to exactly these settings."""
    key = short_hash([FORMAT, as_json(spec), as_json(recipe), data_hash])
    words = (spec.model, spec.spatial.replace(":", ""), spec.channel, f"s{spec.seed}", dataset, key)
    return home() / "checkpoints" / f"{safe_name('-'.join(words))}.safetensors"


def weights_hash(model: nn.Module) -> str:
    """Twelve hexadecimal digits of the SHA-256 of every name, dtype, shape and value."""
    digest = hashlib.sha256()
    for name, tensor in sorted(_tensors(model).items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:12]


def save(model: nn.Module, header: dict[str, Any], path: Path) -> None:
    """Write weights and header (plain JSON values) to `path`, whole or not at all."""
    from safetensors.torch import save as to_bytes

    header = {"format": FORMAT, **header, "weights_hash": weights_hash(model)}
    write_bytes(path, to_bytes(_tensors(model), {KEY: json.dumps(header, sort_keys=True)}))


def read_header(path: Path) -> dict[str, Any]:
    """The JSON header of a checkpoint; raises RbmixError if there is none to read."""
    from safetensors import safe_open

    refusal = f"checkpoint {path} is damaged or not rbmix's"
    reading.check(path, "checkpoint", reading.WEIGHTS)
    with reading.parsing(refusal), safe_open(path, framework="pt") as file:
        raw = (file.metadata() or {})[KEY].encode()
    return headers.verify(reading.from_json(raw, refusal), headers.CHECKPOINT, refusal)


def load(model: nn.Module, path: Path) -> dict[str, Any]:
    """Load a checkpoint into `model` and return its header.

    Raises RbmixError if the file is damaged, belongs to another network, or its weights
    do not hash to what the header says.
    """
    header = read_header(path)
    load_weights(model, path)
    if header.get("weights_hash") != weights_hash(model):
        raise RbmixError(f"checkpoint {path}: the weights do not match the header's hash")
    return header


def load_weights(model: nn.Module, path: Path) -> None:
    """Load the weights of any safetensors or `.pt` file into `model`, strictly.

    `.pt` and `.pth` are read with `weights_only=True`, which refuses code. Raises
    RbmixError if the file is missing, damaged, unsafe, or does not fit the network.
    """
    state = _read_state(path)
    wanted = model.state_dict()
    missing, extra = sorted(wanted.keys() - state.keys()), sorted(state.keys() - wanted.keys())
    if missing or extra:
        name, what = (missing[0], "lacks") if missing else (extra[0], "has an unknown")
        raise RbmixError(
            f"checkpoint {path} does not fit the model: it {what} {name!r} "
            f"({len(missing)} missing, {len(extra)} unknown)"
        )
    for name, tensor in state.items():
        given, needed = (_form(one) for one in (tensor, wanted[name]))
        if given != needed:
            raise RbmixError(
                f"checkpoint {path} does not fit the model: {name!r} is {given}, "
                f"the model needs {needed}"
            )
    with reading.parsing(f"checkpoint {path} does not fit the model"):
        model.load_state_dict(state)


def _form(tensor: Tensor) -> str:
    """What must be alike for one tensor to be copied into another: shape, kind and layout."""
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta or tensor.is_nested:
        return "in a layout of its own"  # which may have no shape either
    kind = "" if tensor.is_floating_point() else f" {tensor.dtype}".replace("torch.", "")
    return f"{tuple(tensor.shape)}{kind}"


def _read_state(path: Path) -> dict[str, Tensor]:
    import pickle
    import warnings

    from safetensors.torch import load_file

    if not path.exists():
        raise RbmixError(f"checkpoint {path} does not exist")
    if path.suffix not in (".safetensors", ".pt", ".pth"):
        raise RbmixError(f"checkpoint {path} must end in .safetensors, .pt or .pth")
    reading.check(path, "checkpoint", reading.WEIGHTS)
    with reading.parsing(f"checkpoint {path} is damaged"):
        if path.suffix == ".safetensors":
            return load_file(path)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about old pickle protocols
                loaded = torch.load(path, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, ValueError) as error:
            raise RbmixError(f"checkpoint {path} is refused: it holds more than tensors") from error
    if isinstance(loaded, dict) and isinstance(loaded.get("state_dict"), dict):
        loaded = loaded["state_dict"]
    if not (
        isinstance(loaded, dict)
        and all(isinstance(v, Tensor) for v in loaded.values())
        and all(isinstance(name, str) for name in loaded)
    ):
        raise RbmixError(f"checkpoint {path} is not a state dict of tensors")
    return loaded


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    return {name: t.detach().cpu().contiguous() for name, t in model.state_dict().items()}
