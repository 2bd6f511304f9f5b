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

from robustbench_mix.errors import RbmixError
from robustbench_mix.files import home, write_bytes
from robustbench_mix.specs import ModelSpec, Recipe, as_json, short_hash

KEY = "rbmix"
FORMAT = 1


def path_for(spec: ModelSpec, recipe: Recipe, dataset: str, data_hash: str) -> Path:
    """The cache path that belongs to exactly these settings."""
    key = short_hash([FORMAT, as_json(spec), as_json(recipe), data_hash])
    words = (spec.model, spec.spatial.replace(":", ""), spec.channel, f"s{spec.seed}", dataset)
    return home() / "checkpoints" / f"{'-'.join(words)}-{key}.safetensors"


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
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise RbmixError(f"checkpoint {path} does not exist")
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})[KEY])
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise RbmixError(f"checkpoint {path} is damaged or not rbmix's ({error})") from error
    if not isinstance(header, dict):
        raise RbmixError(f"checkpoint {path} has no readable header")
    return header


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
        if tensor.shape != wanted[name].shape:
            raise RbmixError(
                f"checkpoint {path} does not fit the model: {name!r} is "
                f"{tuple(tensor.shape)}, the model needs {tuple(wanted[name].shape)}"
            )
    model.load_state_dict(state)


def _read_state(path: Path) -> dict[str, Tensor]:
    import pickle
    import warnings

    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise RbmixError(f"checkpoint {path} does not exist")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        if path.suffix in (".pt", ".pth"):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about old pickle protocols
                loaded = torch.load(path, map_location="cpu", weights_only=True)
        else:
            raise RbmixError(f"checkpoint {path} must end in .safetensors, .pt or .pth")
    except (OSError, SafetensorError, RuntimeError, EOFError) as error:
        raise RbmixError(f"checkpoint {path} is damaged ({_first_line(error)})") from error
    except (pickle.UnpicklingError, ValueError) as error:
        raise RbmixError(f"checkpoint {path} is refused: it holds more than tensors") from error
    if isinstance(loaded, dict) and isinstance(loaded.get("state_dict"), dict):
        loaded = loaded["state_dict"]
    if not (isinstance(loaded, dict) and all(isinstance(v, Tensor) for v in loaded.values())):
        raise RbmixError(f"checkpoint {path} is not a state dict of tensors")
    return loaded


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    return {name: t.detach().cpu().contiguous() for name, t in model.state_dict().items()}


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
