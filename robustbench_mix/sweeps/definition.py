"""Sweeps as data: TOML files of grids, and the networks that they define.

A `[[grid]]` is every combination of its models, spatial and channel mixers, seeds and data
sets, each under every attack; an `[[unshuffle]]` the same of un-shufflers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from robustbench_mix.config.limits import (
    MAX_EPOCHS,
    MAX_EXAMPLES,
    MAX_TASKS,
    check_count,
    check_name,
    check_seed,
)
from robustbench_mix.config.model import ModelSpec, parse_spatial
from robustbench_mix.config.training import UNCHANGED, Training
from robustbench_mix.errors import RbmixError, unknown
from robustbench_mix.storage import reading
from robustbench_mix.storage.paths import parse_path

FOLDER = Path(__file__).resolve().parent
MAX_COUNTS = {"epochs": MAX_EPOCHS, "examples": MAX_EXAMPLES, "train_examples": MAX_EXAMPLES}


@dataclass(frozen=True)
class Cell:
    """One network to train, and the attacks to evaluate it under."""

    spec: ModelSpec
    dataset: str
    attacks: tuple[str, ...] = ()
    examples: int | None = None
    training: Training = UNCHANGED
    explain: bool = False


@dataclass(frozen=True)
class UnshufflingCell:
    """One network to train to un-shuffle."""

    width: int
    depth: int
    kernel: int
    spatial: str
    seed: int
    dataset: str
    epochs: int | None = None
    train_examples: int | None = None


@dataclass(frozen=True)
class Sweep:
    """The networks of a file, in its order, without duplicates."""

    name: str
    summary: str
    cells: list[Cell] = field(default_factory=list)
    unshuffling_cells: list[UnshufflingCell] = field(default_factory=list)


# The options of adversarial training, which are absent or of these types.
ADVERSARIAL: dict[str, type] = {
    "adversarial_eps": str,
    "adversarial_attack": str,
    "averaging": float,
    "label_smoothing": float,
}
# The fields of each table, with a default of the allowed type, or that type if there is none.
_COMMON: dict[str, Any] = {
    "spatial": ["learned"],
    "seeds": [0],
    "datasets": ["digits"],
    "epochs": 0,
    "train_examples": 0,
}
GRID: dict[str, Any] = {
    "models": ["resnet14"],
    "channel": ["learned"],
    "attacks": ["pgd"],
    "examples": 0,
    "adversarial": False,
    "explain": False,
    **ADVERSARIAL,
    **_COMMON,
}
UNSHUFFLE: dict[str, Any] = {
    **_COMMON,
    "spatial": ["learned", "frozen"],
    "depth": [4],
    "width": [128],
    "kernel": [5],
}


def shipped_sweeps() -> list[str]:
    """Return the names of the shipped sweeps, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load(name: str, changes: dict[str, Any]) -> Sweep:
    """Read a sweep.

    Args:
        name: The name of a shipped sweep, or the path of a TOML file.
        changes: Values that replace those of every table with such a field.

    Raises:
        RbmixError: The name is unknown, the file cannot be read, or a field or value is not
            allowed.
    """
    is_path = name.endswith(".toml") or "/" in name
    path = parse_path(name) if is_path else FOLDER / f"{name}.toml"
    if not is_path and name not in shipped_sweeps():
        raise unknown("sweep", name, shipped_sweeps(), also="or a path to a .toml file")
    raw = reading.read_toml(path, "sweep")
    stem = check_name("sweep", path.stem)
    return parse(raw, stem, changes, source=str(path), folder=path.parent)


def parse(
    raw: dict[str, Any],
    name: str,
    changes: dict[str, Any],
    *,
    source: str = "sweep",
    folder: Path = Path(),
) -> Sweep:
    """Check the tables of a sweep and expand them.

    Args:
        raw: The content of the file.
        name: The name of the sweep.
        changes: As for `load`.
        source: What messages call the file.
        folder: Where paths in the file start; they may not lead out of it.

    Raises:
        RbmixError: A field or value is not allowed.
    """
    _check_fields(raw, {"summary", "grid", "unshuffle"}, source)
    summary = raw.get("summary", "")
    if not isinstance(summary, str):
        raise RbmixError(f"{source}: field 'summary' must be a text")
    if summary:
        check_name(f"{source}: field 'summary'", summary)
    grids, shuffled = (
        [
            _with_defaults(
                _resolve_paths(table, folder, source), defaults, changes, f"{source}: {kind}"
            )
            for table in _tables(raw, kind, source)
        ]
        for kind, defaults in (("grid", GRID), ("unshuffle", UNSHUFFLE))
    )
    if not grids and not shuffled:
        raise RbmixError(f"{source}: no [[grid]] and no [[unshuffle]]")
    tasks = sum(_combinations(table) for table in (*grids, *shuffled))
    if tasks > MAX_TASKS:
        raise RbmixError(f"{source}: {tasks:,} combinations (allowed: up to {MAX_TASKS:,})")
    cells = [cell for table in grids for cell in _cells(table)]
    unshuffling_cells = [
        unshuffling_cell for table in shuffled for unshuffling_cell in _unshuffling_cells(table)
    ]
    return Sweep(name, summary, list(dict.fromkeys(cells)), list(dict.fromkeys(unshuffling_cells)))


def _cells(table: dict[str, Any]) -> list[Cell]:
    chosen = product(
        table["datasets"], table["models"], table["seeds"], table["channel"], table["spatial"]
    )
    training = Training(
        table["epochs"] or None,
        table["train_examples"] or None,
        **{name: table[name] for name in ("adversarial", *ADVERSARIAL)},
    )
    return [
        Cell(
            ModelSpec(model, spatial, channel, seed),
            dataset,
            tuple(table["attacks"]),
            table["examples"] or None,
            training,
            table["explain"],
        )
        for dataset, model, seed, channel, spatial in chosen
    ]


def _unshuffling_cells(table: dict[str, Any]) -> list[UnshufflingCell]:
    chosen = product(
        table["datasets"], table["depth"], table["width"], table["kernel"], table["seeds"],
        table["spatial"],
    )  # fmt: skip
    for spatial, seed in product(table["spatial"], table["seeds"]):
        parse_spatial(spatial)
        check_seed(seed)
    trained = {name: table[name] or None for name in ("epochs", "train_examples")}
    return [
        UnshufflingCell(width, depth, kernel, spatial, seed, dataset, **trained)
        for dataset, depth, width, kernel, seed, spatial in chosen
    ]


def _combinations(table: dict[str, Any]) -> int:
    """Return the number of combinations of a table."""
    return math.prod(len(values) for values in table.values() if isinstance(values, list))


def _resolve_paths(table: dict[str, Any], folder: Path, source: str) -> dict[str, Any]:
    """Resolve the paths in a table, of protocols and class folders, from `folder`.

    The file may come from others, so its paths must be inside its folder. Only the user can name
    other places, on the command line.
    """
    placed = dict(table)
    for name in ("attacks", "datasets"):
        values = table.get(name)
        if isinstance(values, list):
            placed[name] = [_resolve_inside(value, name, folder, source) for value in values]
    return placed


def _resolve_inside(value: Any, name: str, folder: Path, source: str) -> Any:
    is_path = isinstance(value, str) and (
        value.startswith((".", "~")) or value.endswith(".toml") or set(value) & {"/", "\\", "\0"}
    )
    if not is_path:
        return value
    with reading.refuse_on_error(f"{source}: field {name!r} holds {value!r}, which is no path"):
        path = (folder / value).resolve()
    if not path.is_relative_to(folder.resolve()):
        option = "--dataset" if name == "datasets" else "--attacks"
        raise RbmixError(
            f"{source}: field {name!r} holds {value!r}, which leads out of the folder of the file "
            f"(allowed: paths within it; others with {option})"
        )
    return str(path)


def _tables(raw: dict[str, Any], name: str, source: str) -> list[dict[str, Any]]:
    tables = raw.get(name, [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise RbmixError(f"{source}: write [[{name}]], a list of tables")
    return tables


def _with_defaults(
    table: dict[str, Any], defaults: dict[str, Any], changes: dict[str, Any], source: str
) -> dict[str, Any]:
    """Return the table with defaults and changes; raise RbmixError for a value of another type."""
    _check_fields(table, set(defaults), source)
    changed = {name: value for name, value in changes.items() if name in defaults}
    filled = {**defaults, **table, **changed}
    for name, value in filled.items():
        default = defaults[name]
        if isinstance(default, type) and value is default:
            filled[name] = None
            continue
        wanted = _type_of(default)
        values: Any = value if isinstance(default, list) else [value]
        if wanted is float and type(value) is int:
            values = [float(value)]
        kind = {str: "texts", int: "whole numbers", bool: "true or false", float: "numbers"}[wanted]
        if not isinstance(values, list) or not values:
            raise RbmixError(f"{source}: field {name!r} must be a list of {kind}, not empty")
        for one in values:
            if type(one) is not wanted or (wanted is int and name != "seeds" and one < 0):
                raise RbmixError(f"{source}: field {name!r} holds {one!r} (allowed: {kind})")
            if name in MAX_COUNTS and one:
                check_count(f"{source}: field {name!r} holds", one, MAX_COUNTS[name])
    return filled


def _type_of(default: Any) -> type[Any]:
    """Return the type that a field with this default allows, or the items of its list."""
    if isinstance(default, type):
        return default
    return type(default[0] if isinstance(default, list) else default)


def _check_fields(table: dict[str, Any], allowed: set[str], source: str) -> None:
    odd = sorted(table.keys() - allowed)
    if odd:
        raise RbmixError(
            f"{source}: unknown field {odd[0]!r} (allowed: {', '.join(sorted(allowed))})"
        )
