"""Find the sets of weights in a file that have the names of a network.

Training scripts wrap networks, and their files show it: state dicts lie in larger dicts, names have
prefixes, and beside the weights of a network lie its average, a copy inside an attacker, its
criterion. A set is one of the dicts together with one prefix.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from robustbench_mix.runtime.dense import is_dense

# Parts of names that wrappers of PyTorch add, wherever they stand.
WRAPPERS = {"module", "_orig_mod"}
# Parts of the place of the weights that a user expects without a choice.
PLAIN = {
    "state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights", "params",
}  # fmt: skip
MAX_DEPTH = 8  # of dicts in dicts


@dataclass(frozen=True)
class WeightSet:
    """One set of weights.

    Args:
        name: Its place in the file: keys and prefix, joined by dots, without wrappers.
        tensors: The weights, by the names of the network.
        rest: The other tensors of the same dict, by their names in the file without wrappers.
        used: The names in the file, without wrappers, of those that the network has.
        missing: The names of the network that it lacks.
        wrong: The names whose tensors have another shape.
    """

    name: str
    tensors: dict[str, Tensor]
    rest: dict[str, Tensor]
    used: frozenset[str] = frozenset()
    missing: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether it has all that the network needs."""
        return not (self.missing or self.wrong)

    @property
    def is_plain(self) -> bool:
        """Whether a user expects this set without a choice: not an average, not a copy."""
        return set(parts(self.name)) <= PLAIN

    def equals(self, other: WeightSet) -> bool:
        """Return whether both sets hold the same values."""
        return all(
            torch.equal(tensor, other.tensors[name])
            for name, tensor in self.tensors.items()
            if not is_counter(name)
        )


def parts(name: str) -> list[str]:
    """Return the parts of a dotted name, without those of wrappers."""
    return [part for part in name.split(".") if part and part not in WRAPPERS]


def is_counter(name: str) -> bool:
    """Return whether a tensor only counts batches or averaged networks."""
    return name.endswith(("num_batches_tracked", "n_averaged"))


def signature(tensor: Tensor) -> str:
    """Return what must be equal to copy one tensor into another: shape, dtype and layout."""
    if not is_dense(tensor) or tensor.is_meta:
        return "in a layout of its own"  # which may have no shape either
    kind = "" if tensor.is_floating_point() else f" {tensor.dtype}".replace("torch.", "")
    return f"{tuple(tensor.shape)}{kind}"


def weight_sets(content: Any, wanted: Mapping[str, Tensor]) -> list[WeightSet]:
    """Return the sets with weights of the network, or else all dicts; those that fit best first.

    Args:
        content: What the file holds.
        wanted: The weights of the network.
    """
    dicts = list(_dicts_of_tensors(content))
    found = [
        _make_set(place, prefix, tensors, wanted)
        for place, tensors in dicts
        for prefix in _prefixes(tensors, wanted)
    ]
    found = found or [_make_set(place, "", tensors, wanted) for place, tensors in dicts]

    def misfit(one: WeightSet) -> tuple[int, bool]:
        return len(one.missing) + len(one.wrong), not one.is_plain

    return sorted(found, key=misfit)


def _dicts_of_tensors(
    content: Any, place: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], dict[str, Tensor]]]:
    """Yield the dicts that hold tensors by name, with the keys that lead to them."""
    if not isinstance(content, dict) or len(place) > MAX_DEPTH:
        return
    tensors = {
        name: value
        for name, value in content.items()
        if isinstance(name, str) and isinstance(value, Tensor)
    }
    if tensors:
        yield place, tensors
    for key, value in content.items():
        if isinstance(key, str):
            yield from _dicts_of_tensors(value, (*place, key))


def _without_wrappers(names: Iterable[str]) -> dict[str, str]:
    """Return names by their form without wrappers, or by themselves if that is ambiguous."""
    names = list(names)
    short = {".".join(parts(name)): name for name in names}
    return short if len(short) == len(names) else {name: name for name in names}


def _prefixes(tensors: dict[str, Tensor], wanted: Mapping[str, Tensor]) -> list[str]:
    """Return the prefixes under which names of the network are in a dict."""
    names = {name for name in _without_wrappers(wanted) if not is_counter(name)}
    found: Counter[str] = Counter()
    for name in _without_wrappers(tensors):
        pieces = name.split(".")
        for cut in range(len(pieces)):
            if ".".join(pieces[cut:]) in names:
                found[".".join(pieces[:cut])] += 1
    most = max(found.values(), default=0)
    # Parts of a network can have each other's names; they are no networks.
    return [prefix for prefix, count in found.items() if 2 * count > most]


def _make_set(
    place: tuple[str, ...], prefix: str, tensors: dict[str, Tensor], wanted: Mapping[str, Tensor]
) -> WeightSet:
    given = _without_wrappers(tensors)
    own: dict[str, Tensor] = {}
    missing, wrong, used = [], [], set()
    for short, name in _without_wrappers(wanted).items():
        there = f"{prefix}.{short}" if prefix else short
        if there in given:
            used.add(there)
            own[name] = tensors[given[there]]
            if not is_counter(name) and signature(own[name]) != signature(wanted[name]):
                wrong.append(name)
        elif is_counter(name):
            own[name] = wanted[name]  # files from before 2018 have none
        else:
            missing.append(name)
    rest = {short: tensors[name] for short, name in given.items() if short not in used}
    place_name = ".".join(parts(".".join((*place, prefix))))
    return WeightSet(place_name, own, rest, frozenset(used), tuple(missing), tuple(wrong))
