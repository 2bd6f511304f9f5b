"""Un-shuffling from a plan to its records; training itself takes no time here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from robustbench_mix.config.model import Unshuffler
from robustbench_mix.config.training import Training
from robustbench_mix.data.dataset import Dataset, Split
from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation import unshuffling_run as module
from robustbench_mix.evaluation.data_plan import DataPlan
from robustbench_mix.evaluation.inputs import load_inputs
from robustbench_mix.evaluation.plan import UnshufflingPlan
from robustbench_mix.results import unshuffling

SMALL = Unshuffler(4, 1, 3)


@pytest.fixture
def dataset() -> Dataset:
    """Thirty grey images of three classes."""
    images = torch.randint(0, 17, (30, 1, 6, 6), dtype=torch.uint8)
    split = Split(images, torch.arange(30) % 3, torch.arange(30), 16)
    return Dataset("tiny", ("a", "b", "c"), split, split)


@pytest.fixture
def trainings(home: Path, monkeypatch: pytest.MonkeyPatch) -> list[Unshuffler]:
    """The networks that were trained."""
    seen = []

    def train(model, unshuffler, recipe, split, order, device, resume_state) -> float:
        seen.append(unshuffler)
        return 2.5

    monkeypatch.setattr(module, "train", train)
    return seen


def plan_of(dataset: Dataset, *unshufflers: Unshuffler, **training) -> UnshufflingPlan:
    """To train these and decode six images."""
    return UnshufflingPlan(
        data=DataPlan(dataset, 6), device="cpu", unshufflers=unshufflers,
        training=Training(**training),
    )  # fmt: skip


def test_every_network_gives_records_once(
    dataset: Dataset, trainings: list, tmp_path: Path, capsys
) -> None:
    """What is on disk is not made again."""
    plan = plan_of(dataset, SMALL, replace(SMALL, spatial="frozen"), epochs=2, examples=9)
    paths = module.unshuffle(plan, tmp_path)
    assert trainings == list(plan.unshufflers)
    assert len(set(paths)) == 2
    assert module.unshuffle(plan, tmp_path) == paths
    assert len(trainings) == 2
    assert "already un-shuffled" in capsys.readouterr().err
    run = unshuffling.read(paths[1])
    assert (run.header.n, run.header.train_examples, run.header.epochs) == (6, 9, 2)
    assert (run.header.spatial, run.header.image, run.header.levels) == ("frozen", [1, 6, 6], 16)


def test_a_patch_divides_the_image(dataset: Dataset, trainings: list, tmp_path: Path) -> None:
    """Or nothing is trained."""
    with pytest.raises(RbmixError, match="patch 4 does not divide images of 6 x 6"):
        module.unshuffle(plan_of(dataset, replace(SMALL, patch=4)), tmp_path)
    assert trainings == []


def test_what_differs_lies_elsewhere(dataset: Dataset, tmp_path: Path) -> None:
    """The network, its training, and the images of either kind."""
    plans = [
        plan_of(dataset, SMALL), plan_of(dataset, SMALL, epochs=3),
        plan_of(dataset, SMALL, examples=9), plan_of(dataset, replace(SMALL, seed=1)),
        replace(plan_of(dataset, SMALL), data=DataPlan(dataset, 9)),
    ]  # fmt: skip
    paths = set()
    for plan in plans:
        inputs = load_inputs(plan)
        recipe = module.recipe_of(plan, inputs)
        split = module.train_split_of(plan, dataset)
        paths.add(module.path_of(plan.unshufflers[0], inputs, recipe, split, tmp_path))
    assert len(paths) == 5


def test_the_recipe_moves_no_pixels(dataset: Dataset) -> None:
    """And has what the user changes."""
    plan = plan_of(dataset, SMALL, epochs=3, lr=0.5)
    recipe = module.recipe_of(plan, load_inputs(plan))
    assert (recipe.pad, recipe.flip, recipe.epochs, recipe.lr) == (0, False, 3, 0.5)


def test_errors_are_of_the_image_in_its_place(dataset: Dataset) -> None:
    """A network that returns what it is given is wrong wherever pixels moved."""
    split = dataset.test.take(torch.arange(6))
    device, still = torch.device("cpu"), torch.arange(36)
    table = module._decode(torch.nn.Identity(), split, still, device)
    assert table["mse"].tolist() == [0] * 6
    assert table["image"].tolist() == list(range(6))
    order = still.flip(0)
    table = module._decode(torch.nn.Identity(), split, order, device)
    x = split.pixels()
    expected = ((x - x.flip(2, 3)) ** 2).mean((1, 2, 3))
    torch.testing.assert_close(torch.tensor(table["mse"].tolist()), expected)
    # The picture is shown, shuffled and decoded, in levels of 255.
    shown = [row for row in range(6) if table["original"][row] is not None]
    assert shown
    levels = (255 * x[shown[0]]).round().to(torch.uint8)
    assert table["original"][shown[0]] == levels.numpy().tobytes()
    assert table["shuffled"][shown[0]] == levels.flip(1, 2).contiguous().numpy().tobytes()
