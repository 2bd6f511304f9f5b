"""Load foreign weights: the set that is meant, checked name by name, and what stays out is told."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from torch import Tensor, nn

from robustbench_mix.config.weights import WeightsFile
from robustbench_mix.errors import RbmixError
from robustbench_mix.models.normalizers import Normalizer, normalizers
from robustbench_mix.models.weight_sets import (
    WeightSet,
    is_counter,
    parts,
    signature,
    weight_sets,
)
from robustbench_mix.models.weights_file import read_weights
from robustbench_mix.storage import reading

logger = logging.getLogger(__name__)

MAX_HINTED = 5  # maximum number of modules that a hint names
MAX_LISTED = 20  # maximum number of mismatches that are named one by one
# Modules that only training uses, by the name that torchvision and many others give them.
AUXILIARY = re.compile(r"aux(iliary)?_?(logits|heads?|classifiers?|fc)?_?\d*", re.IGNORECASE)


def tensors(model: nn.Module) -> dict[str, Tensor]:
    """Return the tensors of a model's state by name, without what modules keep beside them."""
    state = model.state_dict()
    return {name: value for name, value in state.items() if isinstance(value, Tensor)}


def load(model: nn.Module, file: WeightsFile | Path) -> list[Normalizer]:
    """Load the weights of a file into `model`, and log what was chosen and left out.

    Of several sets in the file, the plain one is taken unless the file's key names another.
    Auxiliary heads, counters and copies of the network stay out.

    Args:
        model: The network.
        file: The file; a path for one that holds a single set.

    Returns:
        The normalisers in the file that are not part of the network.

    Raises:
        RbmixError: The file is missing, damaged, unsafe, or does not fit the network, and then
            `details` lists the names that are missing, unexpected or of another shape; or it holds
            several sets and none is plain.
    """
    file = file if isinstance(file, WeightsFile) else WeightsFile(file)
    state = tensors(model)
    sets = weight_sets(read_weights(file.path), state)
    if not sets:
        raise RbmixError(f"checkpoint {file.path} is not a state dict of tensors")
    _check_ignored(file, sets)
    sets = [_without_ignored_buffers(one, model, file.ignore) for one in sets]
    fitting = [one for one in sets if one.fits]
    chosen = _choose(file, _with_key(file, fitting or sets))
    others = [one for one in fitting if one is not chosen]
    left = _left_over(chosen, others)
    found = normalizers(left)
    unexpected = _unexpected(file, left, found)
    if unexpected or not chosen.fits:
        raise _misfit_error(file.path, chosen, unexpected, state)
    _check_values(file, chosen, model)
    with reading.refuse_on_error(f"weights {file.path} do not fit the model"):
        model.load_state_dict(chosen.tensors, strict=False)  # every name has been checked
    _tell(file, chosen, others, left)
    return [one for one in found if not any(_is_in(one.module, name) for name in file.ignore)]


def _with_key(file: WeightsFile, sets: list[WeightSet]) -> list[WeightSet]:
    """Return the sets that the file's key names: by the whole name, or by parts of it."""
    if file.key is None:
        return sets
    wanted = parts(file.key)
    exact = [one for one in sets if parts(one.name) == wanted]
    found = exact or [one for one in sets if _contains(parts(one.name), wanted)]
    if not found:
        allowed = ", ".join(one.name or "none, it holds plain names" for one in sets)
        raise RbmixError(f"{file.path} holds no weights {file.key!r} (allowed: {allowed})")
    return found


def _choose(file: WeightsFile, sets: list[WeightSet]) -> WeightSet:
    """Return the only plain set, or the first if all that fit are equal.

    Raises:
        RbmixError: Several sets fit, and none of them is meant more than the others.
    """
    if not sets[0].fits or all(one.equals(sets[0]) for one in sets[1:]):
        return sets[0]
    plain = [one for one in sets if one.is_plain]
    if plain and all(one.equals(plain[0]) for one in plain[1:]):
        return plain[0]
    names = ", ".join(one.name or "(plain names)" for one in sets)
    raise RbmixError(
        f"{file.path} holds {len(sets)} different sets of weights: {names} "
        "(--weights-key takes one)"
    )


def _check_ignored(file: WeightsFile, sets: list[WeightSet]) -> None:
    """Raise RbmixError for an ignored name that is neither left over nor missing anywhere."""
    names = {name for one in sets for name in (*one.rest, *one.missing)}
    for module in file.ignore:
        if not any(_is_in(name, module) for name in names):
            raise RbmixError(f"{file.path} has no weights {module!r} to ignore beside the network")


def _check_values(file: WeightsFile, chosen: WeightSet, model: nn.Module) -> None:
    """Raise RbmixError for a parameter that holds NaN, of a training that diverged."""
    for name, _ in model.named_parameters():
        if (tensor := chosen.tensors.get(name)) is not None and bool(tensor.isnan().any()):
            raise RbmixError(f"weights {file.path} hold NaN in {name}")


def _without_ignored_buffers(one: WeightSet, model: nn.Module, ignore: Sequence[str]) -> WeightSet:
    """Leave the network's own value in buffers that the file lacks and the user ignores."""
    buffers = {name for name, _ in model.named_buffers()}
    missing = [
        name
        for name in one.missing
        if not (name in buffers and any(_is_in(name, module) for module in ignore))
    ]
    return replace(one, missing=tuple(missing))


def _left_over(chosen: WeightSet, others: list[WeightSet]) -> dict[str, Tensor]:
    """Return the tensors beside the chosen set that are of no other set, by their names."""
    theirs = {name for one in others for name in one.used}
    return {
        name: tensor
        for name, tensor in chosen.rest.items()
        if name not in theirs and not is_counter(name)
    }


def _unexpected(
    file: WeightsFile, left: Mapping[str, Tensor], found: list[Normalizer]
) -> dict[str, Tensor]:
    """Return what is left over and neither ignored nor known to be of no use for inference."""
    known = {name for one in found for name in one.names}
    return {
        name: tensor
        for name, tensor in left.items()
        if name not in known
        and not _is_auxiliary(name)
        and not any(_is_in(name, module) for module in file.ignore)
    }


def _is_auxiliary(name: str) -> bool:
    return any(AUXILIARY.fullmatch(part) for part in name.split("."))


def _is_in(name: str, module: str) -> bool:
    """Return whether a name is that of a module or of something in it, wherever it begins."""
    return _contains(parts(name), parts(module))


def _contains(whole: list[str], piece: list[str]) -> bool:
    spans = range(len(whole) - len(piece) + 1)
    return any(whole[start : start + len(piece)] == piece for start in spans)


def _misfit_error(
    path: Path, chosen: WeightSet, unexpected: dict[str, Tensor], state: dict[str, Tensor]
) -> RbmixError:
    """Make the error that lists what does not fit, with a hint where there is a right one."""
    lines = [f"missing: {name}, {signature(state[name])}" for name in chosen.missing]
    lines += [f"unexpected: {name}, {signature(tensor)}" for name, tensor in unexpected.items()]
    lines += [
        f"shape: {name} is {signature(chosen.tensors[name])}, the model needs "
        f"{signature(state[name])}"
        for name in chosen.wrong
    ]
    if chosen.missing:
        hint = ""
    elif unexpected:
        hint = _hint_for_modules(unexpected, state) if chosen.fits else ""
    else:
        hint = _hint_for_outputs(chosen, state)
    shown = lines[:MAX_LISTED]
    if len(lines) > MAX_LISTED:
        shown.append(f"and {len(lines) - MAX_LISTED} more")
    return RbmixError(
        f"weights {path} do not fit the model: {len(lines)} differ in name or shape{hint}", shown
    )


def _hint_for_modules(unexpected: dict[str, Tensor], state: dict[str, Tensor]) -> str:
    """Return a hint if all that is unexpected lies outside the modules of the network, else ''."""
    own = {parts(name)[0] for name in state}
    modules = sorted({name.split(".")[0] for name in unexpected})
    if own & set(modules) or len(modules) > MAX_HINTED:
        return ""
    return f" (--ignore-weights {','.join(modules)} leaves out what inference does not need)"


def _hint_for_outputs(chosen: WeightSet, state: dict[str, Tensor]) -> str:
    """Return a hint if only the number of outputs differs and the file has more, else ''."""
    pairs = [(chosen.tensors[name], state[name]) for name in chosen.wrong]
    if len(pairs) > 2 or not all(signature(given).startswith("(") for given, _ in pairs):
        return ""
    outputs = {len(given) for given, _ in pairs if given.ndim}
    same_inside = all(given.shape[1:] == wanted.shape[1:] for given, wanted in pairs)
    if len(outputs) != 1 or not same_inside or max(outputs) < max(len(w) for _, w in pairs):
        return ""
    count = outputs.pop()
    return (
        f" (--classes {count} builds it with as many outputs as the file has; --class-index FILE "
        "then says which of them each class is)"
    )


def _tell(
    file: WeightsFile, chosen: WeightSet, others: list[WeightSet], left: Mapping[str, Tensor]
) -> None:
    """Log, in one line, which set was taken and what was left out; nothing if that is all."""
    out = [f"{one.name or 'the plain names'} ({_relation(one, chosen)})" for one in others]
    out += sorted({_module_of(name) for name in left})
    if out:
        taken = chosen.name or "the plain names"
        logger.info(f"{file.path.name}: took {taken}; left out {', '.join(out)}")


def _relation(one: WeightSet, chosen: WeightSet) -> str:
    if one.equals(chosen):
        return "the same values"
    return f"other values; --weights-key {one.name} takes it" if one.name else "other values"


def _module_of(name: str) -> str:
    return name.rpartition(".")[0] or name
