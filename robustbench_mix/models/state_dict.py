"""Load foreign weights: read without running code, with prefixes stripped, checked name by name.

Training scripts wrap networks, and their files show it: the state dict is inside a larger dict, and
every name has a prefix.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from robustbench_mix.errors import RbmixError
from robustbench_mix.storage import reading

# Keys under which training scripts store the state dict, and prefixes of wrappers.
NESTED = ("state_dict", "model_state_dict", "model", "net")
PREFIXES = ("module.", "_orig_mod.", "model.", "net.")
TORCH_STARTS = (b"PK", b"\x80")  # of a zip archive, and of the older pickle
MAX_LISTED = 20  # maximum number of mismatches that are named one by one


def tensors(model: nn.Module) -> dict[str, Tensor]:
    """Return the tensors of a model's state by name, without what modules keep beside them."""
    state = model.state_dict()
    return {name: value for name, value in state.items() if isinstance(value, Tensor)}


def load(model: nn.Module, path: Path) -> None:
    """Load all weights of a safetensors file, or of one that `torch.save` wrote, into `model`.

    The content decides which of them it is, so the file may have any name. Files of `torch.save`
    are read with `weights_only=True`, which refuses code. Common prefixes of
    the names are stripped.

    Raises:
        RbmixError: The file is missing, damaged, unsafe, or does not fit the network; then
            `details` lists the names that are missing, unexpected or of another shape.
    """
    wanted = tensors(model)
    state = _match_names(_read_state(path), wanted)
    given, needed = ({name: _signature(t) for name, t in side.items()} for side in (state, wanted))
    misfits = [f"missing: {name}, {needed[name]}" for name in wanted if name not in state]
    misfits += [f"unexpected: {name}, {given[name]}" for name in state if name not in wanted]
    wrong = [name for name in wanted if name in state and given[name] != needed[name]]
    misfits += [f"shape: {n} is {given[n]}, the model needs {needed[n]}" for n in wrong]
    if misfits:
        raise RbmixError(
            f"weights {path} do not fit the model: {len(misfits)} differ in name or shape"
            f"{_hint_for_outputs(wrong, misfits, state, wanted)}",
            _shortened(misfits),
        )
    with reading.refuse_on_error(f"weights {path} do not fit the model"):
        # The names and shapes are checked; what is no tensor is not in a file that is safe to read.
        model.load_state_dict(state, strict=False)


def _match_names(state: dict[str, Tensor], wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    """Strip the prefixes that give the most matching names, and fill in or drop counters."""
    candidates = [state]
    for one in candidates:  # grows in the loop; ends because names get shorter
        for prefix in PREFIXES:
            shorter = {name.removeprefix(prefix): tensor for name, tensor in one.items()}
            if len(shorter) == len(one) and shorter.keys() != one.keys():
                candidates.append(shorter)
    best = max(candidates, key=lambda one: len(one.keys() & wanted.keys()))
    # Counters without effect: AveragedModel of torch adds one, files from before 2018 lack those of
    # norms.
    counters = {name: t for name, t in wanted.items() if name.endswith("num_batches_tracked")}
    return counters | {n: tensor for n, tensor in best.items() if n in wanted or n != "n_averaged"}


def _hint_for_outputs(
    wrong: list[str], misfits: list[str], state: dict[str, Tensor], wanted: dict[str, Tensor]
) -> str:
    """Return a hint if only the number of outputs differs, else ''."""
    if not all(_signature(state[name]).startswith("(") for name in wrong):
        return ""
    outputs = {len(state[name]) for name in wrong if state[name].ndim > 0}
    same_inside = all(state[name].shape[1:] == wanted[name].shape[1:] for name in wrong)
    if len(misfits) == len(wrong) <= 2 and len(outputs) == 1 and same_inside:
        return f" (--classes {outputs.pop()} builds it with as many outputs as the file has)"
    return ""


def _shortened(lines: list[str]) -> list[str]:
    return (
        lines
        if len(lines) <= MAX_LISTED
        else [*lines[:MAX_LISTED], f"and {len(lines) - MAX_LISTED} more"]
    )


def _signature(tensor: Tensor) -> str:
    """Return what must be equal to copy one tensor into another: shape, dtype and layout."""
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
    reading.check_file(path, "checkpoint", reading.MAX_WEIGHTS_BYTES)
    with path.open("rb") as file:
        start = file.read(9)
    is_safetensors = path.suffix == ".safetensors" or start[8:] == b"{"
    if not is_safetensors and not start.startswith(TORCH_STARTS):
        raise RbmixError(
            f"checkpoint {path} is neither a safetensors file nor one that torch.save writes"
        )
    loaded: Any
    with reading.refuse_on_error(f"checkpoint {path} is damaged"):
        if is_safetensors:
            loaded = load_file(path)
        else:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # about old pickle protocols
                    loaded = torch.load(path, map_location="cpu", weights_only=True)
            except (pickle.UnpicklingError, ValueError) as error:
                refusal = f"checkpoint {path} is refused: it holds more than tensors"
                raise RbmixError(refusal) from error
    while isinstance(loaded, dict):
        inner = next((key for key in NESTED if isinstance(loaded.get(key), dict)), None)
        if inner is None:
            break
        loaded = loaded[inner]
    if not (
        isinstance(loaded, dict)
        and all(isinstance(value, Tensor) for value in loaded.values())
        and all(isinstance(name, str) for name in loaded)
    ):
        raise RbmixError(f"checkpoint {path} is not a state dict of tensors")
    return loaded
