"""Weights from any file: read without running code, named as the network names them, fitted.

Training scripts wrap networks, and their files show it: a state dict lies inside a larger
dict, and every name has a prefix. What is left over after that is told, name by name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from robustbench_mix.errors import RbmixError

# Where training scripts keep the state dict, and what wrappers put before its names.
NESTED = ("state_dict", "model_state_dict", "model", "net")
PREFIXES = ("module.", "_orig_mod.", "model.", "net.")
LISTED = 20  # misfits named one by one


def load(model: nn.Module, path: Path) -> None:
    """Load the weights of a safetensors or `.pt` file into `model`, every one of them.

    `.pt` and `.pth` are read with `weights_only=True`, which refuses code. Common prefixes
    of the names are stripped. Raises RbmixError if the file is missing, damaged, unsafe, or
    does not fit the network; then its `details` list what is missing, unexpected or misshapen.
    """
    wanted = model.state_dict()
    state = _renamed(_read(path), wanted)
    misfits = [f"missing: {name}, {_shape(wanted[name])}" for name in wanted if name not in state]
    misfits += [
        f"unexpected: {name}, {_shape(state[name])}" for name in state if name not in wanted
    ]
    wrong = [name for name in wanted if name in state and state[name].shape != wanted[name].shape]
    misfits += [
        f"shape: {name} is {_shape(state[name])}, the model needs {_shape(wanted[name])}"
        for name in wrong
    ]
    if misfits:
        raise RbmixError(
            f"weights {path} do not fit the model: {len(misfits)} differ in name or shape"
            f"{_other_head(wrong, misfits, state, wanted)}",
            _shortened(misfits),
        )
    model.load_state_dict(state)


def _renamed(state: dict[str, Tensor], wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state under the names that fit best: prefixes stripped, counters of no effect mended."""
    candidates = [state]
    for one in candidates:  # grows on the way; names only get shorter
        for prefix in PREFIXES:
            shorter = {name.removeprefix(prefix): tensor for name, tensor in one.items()}
            if len(shorter) == len(one) and shorter.keys() != one.keys():
                candidates.append(shorter)
    best = max(candidates, key=lambda one: len(one.keys() & wanted.keys()))
    # Counters: torch's AveragedModel has one more, files from before 2018 lack those of norms.
    counters = {name: t for name, t in wanted.items() if name.endswith("num_batches_tracked")}
    return counters | {n: tensor for n, tensor in best.items() if n in wanted or n != "n_averaged"}


def _other_head(
    wrong: list[str], misfits: list[str], state: dict[str, Tensor], wanted: dict[str, Tensor]
) -> str:
    """What to do about a network that fits but for its number of outputs."""
    outputs = {len(state[name]) for name in wrong if state[name].ndim > 0}
    same_inside = all(state[name].shape[1:] == wanted[name].shape[1:] for name in wrong)
    if len(misfits) == len(wrong) <= 2 and len(outputs) == 1 and same_inside:
        return f" (--classes {outputs.pop()} builds it with as many outputs as the file has)"
    return ""


def _shortened(lines: list[str]) -> list[str]:
    return lines if len(lines) <= LISTED else [*lines[:LISTED], f"and {len(lines) - LISTED} more"]


def _shape(tensor: Tensor) -> str:
    return str(tuple(tensor.shape))


def _read(path: Path) -> dict[str, Tensor]:
    import pickle
    import warnings

    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise RbmixError(f"checkpoint {path} does not exist")
    loaded: Any
    try:
        if path.suffix == ".safetensors":
            loaded = load_file(path)
        elif path.suffix in (".pt", ".pth"):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about old pickle protocols
                loaded = torch.load(path, map_location="cpu", weights_only=True)
        else:
            raise RbmixError(f"checkpoint {path} must end in .safetensors, .pt or .pth")
    except (OSError, SafetensorError, RuntimeError, EOFError) as error:
        raise RbmixError(f"checkpoint {path} is damaged ({_first_line(error)})") from error
    except (pickle.UnpicklingError, ValueError) as error:
        raise RbmixError(f"checkpoint {path} is refused: it holds more than tensors") from error
    while isinstance(loaded, dict):
        inner = next((key for key in NESTED if isinstance(loaded.get(key), dict)), None)
        if inner is None:
            break
        loaded = loaded[inner]
    if not (isinstance(loaded, dict) and all(isinstance(v, Tensor) for v in loaded.values())):
        raise RbmixError(f"checkpoint {path} is not a state dict of tensors")
    return loaded


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
