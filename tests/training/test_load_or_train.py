"""A network comes from the cache, or is trained once and kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from msgspec import structs
from torch import nn

from robustbench_mix.config.model import ModelSpec
from robustbench_mix.config.training import NFgsm, recipe_for
from robustbench_mix.data.dataset import Dataset, Split
from robustbench_mix.errors import RbmixError
from robustbench_mix.models import checkpoint, factory
from robustbench_mix.training import load_or_train as module
from robustbench_mix.training.classifier import TrainingOutcome
from robustbench_mix.training.load_or_train import (
    load_checkpoint,
    load_or_train,
    split_and_checkpoint_path,
)

CPU = torch.device("cpu")
SPEC = ModelSpec("resnet14_w4", "frozen", seed=3)
RECIPE = replace(recipe_for("resnet", "digits"), epochs=2)


@pytest.fixture
def dataset() -> Dataset:
    """Forty small images of two classes."""
    images = torch.randint(0, 17, (40, 1, 8, 8), dtype=torch.uint8)
    whole = Split(images, torch.arange(40) % 2, torch.arange(40), 16)
    return Dataset("tiny", ("even", "odd"), whole, whole.take(torch.arange(6)))


@pytest.fixture
def trainings(home: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Training takes no time here: it moves one weight. The images and the seed of each."""
    seen = []

    def train(
        model: nn.Module, split: Split, test: Split, recipe, seed: int, device, *, resume_state
    ) -> TrainingOutcome:
        seen.append((len(split), seed))
        resume_state.path.parent.mkdir(parents=True, exist_ok=True)
        resume_state.path.write_text("half")
        model.get_parameter("net.head.bias").data += 1
        return TrainingOutcome(test_accuracy=0.75, time_seconds=12.5)

    monkeypatch.setattr(module, "train", train)
    return seen


def test_it_is_trained_once(dataset: Dataset, trainings: list, capsys) -> None:
    """The second time the same weights are read; nothing is left of the making."""
    first = load_or_train(SPEC, dataset, RECIPE, CPU)
    assert first.train_seconds == 12.5
    assert [one.suffix for one in first.path.parent.iterdir()] == [".safetensors"]
    assert "no checkpoint yet" in capsys.readouterr().err
    second = load_or_train(SPEC, dataset, RECIPE, CPU)
    assert second.train_seconds == 0
    assert trainings == [(40, 3)]
    assert second.header == first.header
    assert (second.header.test_accuracy, second.header.train_examples) == (0.75, 40)
    assert (second.header.classes, second.header.image) == (["even", "odd"], [1, 8, 8])
    assert not second.model.training
    assert checkpoint.weights_hash(second.model) == checkpoint.weights_hash(first.model)


def test_what_a_killed_process_left_goes(dataset: Dataset, trainings: list) -> None:
    """The resume state of a training whose checkpoint is there."""
    path = load_or_train(SPEC, dataset, RECIPE, CPU).path
    left = path.with_suffix(".unfinished.pt")
    left.write_text("half")
    load_or_train(SPEC, dataset, RECIPE, CPU)
    assert not left.exists()


@pytest.mark.default
def test_a_training_that_averages_leaves_its_last_weights_too(
    dataset: Dataset, home: Path, capsys
) -> None:
    """As a training without would: under its name, with its accuracy, and not over it."""
    recipe = replace(RECIPE, n_fgsm=NFgsm("2/16"), averaging=0.9995)
    plain = replace(recipe, averaging=None)
    averaged = load_or_train(SPEC, dataset, recipe, CPU)
    assert "kept the weights of the last step" in capsys.readouterr().err
    last = load_or_train(SPEC, dataset, plain, CPU)
    assert last.train_seconds == 0
    assert (averaged.header.recipe, last.header.recipe) == (recipe, plain)
    assert averaged.header.weights_hash != last.header.weights_hash
    _, path = split_and_checkpoint_path(SPEC, dataset, plain)
    path.unlink()
    alone = load_or_train(SPEC, dataset, plain, CPU)
    assert alone.header.weights_hash == last.header.weights_hash
    assert alone.header.test_accuracy == last.header.test_accuracy
    bare = factory.build(SPEC, factory.shape_of(dataset), *dataset.statistics())
    for trained in (averaged, last):
        for name, parameter in bare.named_parameters():
            kept = trained.model.get_parameter(name)
            assert torch.equal(kept, parameter) != parameter.requires_grad, name
    written = path.read_bytes()
    averaged.path.unlink()
    load_or_train(SPEC, dataset, recipe, CPU)
    assert path.read_bytes() == written


def test_every_setting_has_a_checkpoint_of_its_own(dataset: Dataset, home: Path) -> None:
    """The network, the recipe, and the images that are taken."""
    whole, path = split_and_checkpoint_path(SPEC, dataset, RECIPE)
    assert whole is dataset.train
    part, other = split_and_checkpoint_path(SPEC, dataset, RECIPE, 10)
    assert len(part) == 10
    assert part.labels.sum() == 5
    paths = {
        path, other,
        split_and_checkpoint_path(replace(SPEC, seed=4), dataset, RECIPE)[1],
        split_and_checkpoint_path(SPEC, dataset, replace(RECIPE, lr=0.2))[1],
    }  # fmt: skip
    assert len(paths) == 4


@pytest.mark.parametrize("change", [{"dataset": "other"}, {"recipe": replace(RECIPE, epochs=9)},
                                    {"test_accuracy": None}, {"train_examples": None}])  # fmt: skip
def test_a_checkpoint_under_a_wrong_name(dataset: Dataset, trainings: list, change: dict) -> None:
    """Is refused, not believed."""
    first = load_or_train(SPEC, dataset, RECIPE, CPU)
    checkpoint.save(first.model, structs.replace(first.header, **change), first.path)
    with pytest.raises(RbmixError, match="is of other settings than its name says; delete it"):
        load_or_train(SPEC, dataset, RECIPE, CPU)


def test_a_checkpoint_of_another_network(dataset: Dataset, trainings: list, tmp_path: Path) -> None:
    """Both are named, also where the weights would fit; so is a file that is not there."""
    path = load_or_train(SPEC, dataset, RECIPE, CPU).path
    with pytest.raises(RbmixError, match=r"is of .*'seed': 3.*, not of .*'seed': 4"):
        load_checkpoint(replace(SPEC, seed=4), dataset, path)
    with pytest.raises(RbmixError, match="none.safetensors does not exist"):
        load_checkpoint(SPEC, dataset, tmp_path / "none.safetensors")
