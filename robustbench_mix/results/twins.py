"""Twins: records that are the same but for a few fields, and which of several sets is used.

This is the one definition of what makes two records comparable. `spatial` alone differs between
a model and its learned twin; tables over seeds let `seed` differ too.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any, Protocol, TypeVar

from robustbench_mix.results.design import LEAST_SEEDS
from robustbench_mix.results.headers import EXTERNAL, NetworkHeader

LEARNED = "learned"
# The fields that decide a number. Two records are comparable if all of these but a few are equal.
# Probes and un-shufflings lack some: absent fields are equal.
FIELDS = (
    "model", "spatial", "channel", "seed", "dataset", "protocol_hash", "data_hash",
    "train_examples", "epochs", "adversarial", "device", "backend", "eps",
)  # fmt: skip
# The fields of the evaluation, which do not belong to the model and its training.
EVALUATION = ("protocol_hash", "data_hash", "device", "backend", "eps")


class Record(Protocol):
    """Anything with a header: a run, a probe, a transfer, an un-shuffling."""

    @property
    def header(self) -> NetworkHeader:
        """The header of the record."""


R = TypeVar("R", bound=Record)
T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


def key(header: NetworkHeader, *but: str) -> tuple[Any, ...]:
    """Return the values of `FIELDS` to compare headers by.

    An absent field is ''. The number of threads of a processor is left out, because it changes
    only rounding.

    Args:
        header: The header of a record.
        but: Fields to leave out.
    """
    values = {name: getattr(header, name, None) or "" for name in FIELDS if name not in but}
    if "device" in values:
        values["device"] = without_threads(values["device"])
    return tuple(tuple(one) if isinstance(one, list) else one for one in values.values())


def without_threads(device: str) -> str:
    """Return the words for a device without its number of threads."""
    return device.partition(" (threads")[0]


def are_same(first: NetworkHeader, second: NetworkHeader, *but: str) -> bool:
    """Return whether two headers are the same in all `FIELDS` but these."""
    return key(first, *but) == key(second, *but)


def twin_of(record: R, records: Iterable[R]) -> R | None:
    """Return the learned twin: the same in everything but the spatial mixers.

    Args:
        record: A record.
        records: Where to look for its twin.

    Returns:
        The twin; None for a learned or external model, and if there is no twin.
    """
    if record.header.spatial in (LEARNED, EXTERNAL):
        return None
    learned = (one for one in records if one.header.spatial == LEARNED)
    return next((one for one in learned if are_same(one.header, record.header, "spatial")), None)


def groups(records: Iterable[R], *but: str) -> dict[tuple[Any, ...], list[R]]:
    """Group records that differ at most in these fields, in order of appearance."""
    found: dict[tuple[Any, ...], list[R]] = {}
    for record in records:
        found.setdefault(key(record.header, *but), []).append(record)
    return found


def by_seed(records: Iterable[R]) -> dict[int, R]:
    """Return one record for each seed, the last one."""
    return {record.header.seed: record for record in records}


def trained_on(header: NetworkHeader) -> str:
    """Return images x epochs of a training, `?` if rbmix did not train."""
    if not header.train_examples:
        return "?"
    return f"{header.train_examples:,} x {header.epochs}"


def training_words(header: NetworkHeader) -> str:
    """Return how a model got its weights: images x epochs and adversarial training, or its file.

    It is '' if neither is known.
    """
    if not header.train_examples:
        return header.weights or ""
    attacked = f", adversarial {header.adversarial}" if header.adversarial else ""
    return f"{trained_on(header)}{attacked}"


def training_images(header: NetworkHeader) -> int:
    """Return how many images a model was trained on, over all epochs; 0 if not by rbmix."""
    return (header.train_examples or 0) * (header.epochs or 0)


def rank(header: NetworkHeader, seeds: int) -> tuple[bool, int, int]:
    """Return what decides which of several sets of records of a network is used: the largest.

    It is whether the set can give an answer, its training images over all epochs, and its rows. So
    the longest training with enough seeds for an answer is taken, or the longest if none has; and
    of several choices of images, the one with most rows.

    Args:
        header: The header of any of the records.
        seeds: Number of seeds.
    """
    return seeds >= LEAST_SEEDS, training_images(header), seeds * header.n


def largest(sets: Iterable[T], group: Callable[[T], K], size: Callable[[T], Any]) -> dict[K, T]:
    """Return the largest set of each group; of equal ones the first.

    Args:
        sets: Sets of records, for example all seeds on one choice of images.
        group: Returns the group of a set, for example the model and the data set.
        size: Returns the size of a set, usually its number of records.

    Returns:
        One set for each group, in order of appearance.
    """
    found: dict[K, T] = {}
    for one in sets:
        name = group(one)
        if name not in found or size(one) > size(found[name]):
            found[name] = one
    return found
