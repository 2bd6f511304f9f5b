"""What a sweep file asks for."""

from __future__ import annotations

import pytest

from robustbench_mix.config.model import ModelSpec
from robustbench_mix.config.training import Training
from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation.load_model import check_exists
from robustbench_mix.sweeps import cell_plans, definition
from robustbench_mix.sweeps.definition import Cell, UnshufflingCell, parse

pytestmark = pytest.mark.default


@pytest.mark.quick
def test_a_grid_is_every_combination() -> None:
    """Twins side by side, nothing twice, defaults where the table is silent."""
    table = {
        "models": ["resnet14"], "spatial": ["learned", "frozen"], "seeds": [1, 2],
        "attacks": ["fgsm"], "examples": 9,
    }  # fmt: skip
    found = parse({"grid": [table, table]}, "x", {})
    assert found.cells == [
        Cell(ModelSpec("resnet14", spatial, "learned", seed), "digits", ("fgsm",), 9)
        for seed in (1, 2)
        for spatial in ("learned", "frozen")
    ]
    found = parse({"unshuffle": [{"depth": [2, 3]}]}, "x", {"seeds": [4]})
    assert found.unshuffling_cells == [
        UnshufflingCell(128, depth, 5, spatial, 4, "digits")
        for depth in (2, 3)
        for spatial in ("learned", "frozen")
    ]


@pytest.mark.parametrize("name", definition.shipped_sweeps())
def test_shipped_sweeps_can_be_read(name: str) -> None:
    """Each has a summary, and every name in it is known."""
    sweep = definition.load(name, {})
    assert sweep.summary
    assert sweep.cells or sweep.unshuffling_cells
    planned = cell_plans.plan_sweep(sweep)
    for plan in planned.cells:
        check_exists(plan.training.model)
    assert len(planned.cells) == len(sweep.cells)


@pytest.mark.quick
def test_the_papers_grid_is_the_papers() -> None:
    """Five depths, three variants, five seeds, three attacks."""
    cells = definition.load("fig8", {}).cells
    assert len(cells) == 5 * 3 * 5
    assert {cell.attacks for cell in cells} == {("fgsm", "pgd", "autoattack")}
    variants = {(cell.spec.spatial, cell.spec.channel) for cell in cells}
    assert variants == {("learned", "learned"), ("frozen", "learned"), ("learned", "frozen")}


@pytest.mark.quick
def test_adversarial_training_is_as_on_the_command_line() -> None:
    """Absent options are those of the recipe; a whole number is a number too."""
    (plain,) = parse({"grid": [{"adversarial": True}]}, "x", {}).cells
    assert plain.training == Training(adversarial=True)
    table = {"adversarial": True, "adversarial_attack": "n-fgsm", "adversarial_eps": "1/16"}
    table |= {"averaging": 0, "label_smoothing": 0.1}
    (cell,) = parse({"grid": [table]}, "x", {}).cells
    assert cell.training == Training(None, None, None, "auto", True, "1/16", "n-fgsm", 0, 0.1)


@pytest.mark.quick
def test_the_adversarial_sweep_tries_both_ways_with_and_without_averages() -> None:
    """Three seeds each; what is cheapest comes first."""
    cells = definition.load("adversarial", {}).cells
    tried = [(cell.training.adversarial_attack, cell.training.averaging) for cell in cells]
    assert tried == [
        (attack, averaging)
        for attack in ("n-fgsm", None)
        for averaging in (None, 0)
        for _ in range(3)
    ]
    assert {(c.training.epochs, c.training.examples, c.examples) for c in cells} == {
        (10, 12500, 200)
    }


@pytest.mark.quick
def test_changes_replace_what_the_file_says() -> None:
    """For a laptop: another data set, fewer seeds."""
    cells = definition.load("fig8", {"datasets": ["digits"], "seeds": [3], "examples": 5}).cells
    assert {(c.dataset, c.spec.seed, c.examples) for c in cells} == {("digits", 3, 5)}
    assert len(cells) == 15


@pytest.mark.quick
@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({}, "no [[grid]] and no [[unshuffle]]"),
        ({"grids": []}, "unknown field 'grids'"),
        ({"grid": {"models": ["resnet14"]}}, "write [[grid]], a list of tables"),
        ({"grid": [{"model": ["resnet14"]}]}, "unknown field 'model'"),
        ({"grid": [{"models": "resnet14"}]}, "must be a list of texts, not empty"),
        ({"grid": [{"seeds": []}]}, "must be a list of whole numbers, not empty"),
        ({"grid": [{"seeds": [0, True]}]}, "'seeds' holds True"),
        ({"grid": [{"seeds": [-1]}]}, "seed -1 is out of range"),
        ({"grid": [{"examples": -3}]}, "'examples' holds -3"),
        ({"grid": [{"adversarial": 1}]}, "'adversarial' holds 1 (allowed: true or false)"),
        ({"grid": [{"averaging": "no"}]}, "'averaging' holds 'no' (allowed: numbers)"),
        ({"grid": [{"averaging": True}]}, "'averaging' holds True (allowed: numbers)"),
        ({"grid": [{"averaging": 0.9}]}, "--averaging 0.9 needs --adversarial"),
        ({"grid": [{"adversarial_attack": 1}]}, "holds 1 (allowed: texts)"),
        ({"grid": [{"spatial": ["frosen"]}]}, "unknown spatial 'frosen'"),
        ({"unshuffle": [{"models": ["resnet14"]}]}, "unknown field 'models'"),
        ({"unshuffle": [{"spatial": ["frosen"]}]}, "unknown spatial 'frosen'"),
        ({"summary": 3, "grid": [{}]}, "field 'summary' must be a text"),
    ],
)
def test_wrong_files_are_named(raw: dict, message: str) -> None:
    """The field and the value, in one line."""
    with pytest.raises(RbmixError) as error:
        parse(raw, "x", {})
    assert message in str(error.value)
    assert "\n" not in str(error.value)
