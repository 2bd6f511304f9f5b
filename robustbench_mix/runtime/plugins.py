"""Attacks and models of other packages, by their entry points.

A package registers an attack under `robustbench_mix.algorithms`, and a function that returns a
network under `robustbench_mix.models`. Nothing is imported before it is used by name, so a broken
package breaks nothing but itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from robustbench_mix.errors import RbmixError

GROUPS = {"algorithm": "robustbench_mix.algorithms", "model": "robustbench_mix.models"}


def attack_loaders() -> dict[str, Callable[[], Any]]:
    """Return, for each registered attack, a function that imports it.

    The function raises RbmixError if the attack cannot be imported or is not callable.
    """
    return _importers("algorithm")


def model_loaders() -> dict[str, Callable[[], Any]]:
    """Return, for each registered model, a function that imports the callable that makes it.

    The function raises RbmixError if the import fails or the object is not callable.
    """
    return _importers("model")


def registering_packages(kind: str) -> dict[str, str]:
    """Return the package that registers each name of a kind (`GROUPS`), as `mypackage 1.0`."""
    return {name: _package_names(entries) for name, entries in _entry_points(kind).items()}


def check_not_taken(kind: str, name: str, taken: Iterable[str]) -> None:
    """Raise RbmixError if another package registers one of our own names.

    Args:
        kind: A key of `GROUPS`.
        name: The name to check.
        taken: Our own names.
    """
    owners = registering_packages(kind)
    if name in owners and name in taken:
        raise RbmixError(
            f"{kind} {name!r} is rbmix's own, and {owners[name]} registers another of that name "
            f"(entry point group {GROUPS[kind]}); which is meant cannot be told"
        )


def _importers(kind: str) -> dict[str, Callable[[], Any]]:
    return {
        name: partial(_import, kind, name, entries) for name, entries in _entry_points(kind).items()
    }


def _entry_points(kind: str) -> dict[str, list[EntryPoint]]:
    found: dict[str, list[EntryPoint]] = {}
    for entry in entry_points(group=GROUPS[kind]):
        found.setdefault(entry.name, []).append(entry)
    return dict(sorted(found.items()))


def _package_names(entries: list[EntryPoint]) -> str:
    names = (f"{e.dist.name} {e.dist.version}" if e.dist else e.value for e in entries)
    return " and ".join(names)


def _import(kind: str, name: str, entries: list[EntryPoint]) -> Any:
    """Import a registered callable; raise RbmixError if that fails or it is not callable."""
    words = f"{kind} {name!r} of {_package_names(entries)}"
    if len(entries) > 1:
        raise RbmixError(f"{words}: several packages register that name")
    try:
        found = entries[0].load()
    except Exception as error:  # whatever another package raises while it is imported
        raise RbmixError(f"{words} cannot be imported ({type(error).__name__}: {error})") from error
    if not callable(found):
        raise RbmixError(f"{words} is not callable ({entries[0].value})")
    return found
