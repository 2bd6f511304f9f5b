"""What a sweep asks for, as plans."""

from __future__ import annotations

from dataclasses import replace

import pytest

from robustbench_mix.config.model import ModelSpec
from robustbench_mix.config.training import Training
from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation.attack_plan import attack_plan
from robustbench_mix.evaluation.data_plan import UNSHUFFLING_EXAMPLES, DataPlan
from robustbench_mix.sweeps.cell_plans import plan_sweep
from robustbench_mix.sweeps.definition import Cell, Sweep, UnshufflingCell

CELL = Cell(
    ModelSpec("resnet14", "frozen"), "digits", ("fgsm", "pgd"), 9,
    Training(2, 60, adversarial=True, adversarial_attack="n-fgsm"), explain=True,
)  # fmt: skip
UNSHUFFLING = UnshufflingCell(4, 1, 3, "frozen", 7, "digits", 2, 60)


def test_a_cell_is_trained_attacked_and_explained() -> None:
    """The same network on the same images, as the command line would plan it."""
    sweep = plan_sweep(Sweep("s", "", [CELL], [UNSHUFFLING]), "cpu", "fp32")
    (cell,), (unshuffling,) = sweep.cells, sweep.unshufflings
    model = cell.training.model
    assert (model.spec, model.is_trained) == (CELL.spec, True)
    assert model.training == replace(CELL.training, precision="fp32")
    assert [plan.attack for plan in cell.attacks] == [
        attack_plan(word, "digits") for word in CELL.attacks
    ]
    assert cell.explanation is not None
    for plan in (cell.training, *cell.attacks, cell.explanation):
        assert (plan.model, plan.data, plan.device) == (model, DataPlan("digits", 9), "cpu")
    (unshuffler,) = unshuffling.unshufflers
    assert (unshuffler.spatial, unshuffler.seed, unshuffler.depth) == ("frozen", 7, 1)
    assert unshuffling.data.count == UNSHUFFLING_EXAMPLES
    assert (unshuffling.training.epochs, unshuffling.training.examples) == (2, 60)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (replace(CELL, spec=ModelSpec("resnet81")), "unknown model 'resnet81'"),
        (replace(CELL, spec=ModelSpec("nowhere:make")), "is code, which no sweep imports"),
        (replace(CELL, attacks=("pdg",)), "unknown attack 'pdg'"),
        (replace(CELL, dataset="digts"), "unknown data set 'digts'"),
        (replace(UNSHUFFLING, dataset="digts"), "unknown data set 'digts'"),
        (replace(UNSHUFFLING, kernel=0), "kernel 0 must be at least 1"),
    ],
)
def test_wrong_cells_are_named(cell: Cell | UnshufflingCell, message: str) -> None:
    """Whatever kind they are of."""
    cells = {"cells": [cell]} if isinstance(cell, Cell) else {"unshuffling_cells": [cell]}
    with pytest.raises(RbmixError, match=message):
        plan_sweep(Sweep("s", "", **cells))


def test_wrong_words_of_all_cells_are_named() -> None:
    """The device and the precision."""
    sweep = Sweep("s", "", [CELL])
    with pytest.raises(RbmixError, match="unknown device 'tpu'"):
        plan_sweep(sweep, "tpu")
    with pytest.raises(RbmixError, match="unknown precision 'fp8'"):
        plan_sweep(sweep, precision="fp8")
