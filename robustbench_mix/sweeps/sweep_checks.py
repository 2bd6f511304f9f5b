"""Check a sweep before anything is imported that takes long."""

from __future__ import annotations

from robustbench_mix.config import catalog, protocols
from robustbench_mix.config.command_checks import check_runner
from robustbench_mix.config.training import check_precision
from robustbench_mix.errors import RbmixError
from robustbench_mix.sweeps.definition import Cell, Sweep


def check_sweep(
    chosen: Sweep,
    *,
    runner: str,
    workers: int | None,
    address: str | None,
    precision: str,
    device: str,
) -> None:
    """Raise RbmixError for a sweep, or options of its execution, that are wrong."""
    check_runner(runner, workers, address)
    if precision != "auto":
        check_precision(precision)
    catalog.check_device(device)
    for cell in chosen.cells:
        check_cell(cell)
    datasets = [
        *(cell.dataset for cell in chosen.cells),
        *(one.dataset for one in chosen.unshuffling_cells),
    ]
    for dataset in dict.fromkeys(datasets):
        catalog.check_dataset(dataset)


def check_cell(cell: Cell) -> None:
    """Raise RbmixError for a network or an attack that does not exist, or a network of code.

    A sweep may come from others, so it must not name modules that are imported.
    """
    word = cell.spec.model
    if catalog.is_code(word):
        raise RbmixError(
            f"model {word!r} is code, which no sweep imports: `rbmix evaluate --model`"
        )
    catalog.check_model(word)
    for attack in cell.attacks:
        catalog.check_algorithm(protocols.load(attack, "").algorithm)
