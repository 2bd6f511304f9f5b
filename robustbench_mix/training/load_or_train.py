"""Load a network from the cache, or train it on demand and cache it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from msgspec import structs
from torch import nn

from robustbench_mix.config.canonical import as_json
from robustbench_mix.config.model import ModelSpec
from robustbench_mix.config.training import Recipe
from robustbench_mix.data.dataset import Dataset, Split, balanced_subset
from robustbench_mix.errors import RbmixError
from robustbench_mix.models import checkpoint, factory
from robustbench_mix.models.checkpoint import CheckpointHeader
from robustbench_mix.models.summary import unreached_convolutions
from robustbench_mix.runtime import provenance
from robustbench_mix.runtime.devices import compute_environment, training_threads
from robustbench_mix.storage.locks import exclusive_lock
from robustbench_mix.training.averaging import borrowed_weights
from robustbench_mix.training.classifier import LastWeights, train
from robustbench_mix.training.resume import ResumeState, delete_resume_state

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainedModel:
    """A network with its weights.

    Args:
        model: The network, in eval mode.
        path: Its checkpoint; an empty path if there is none.
        header: The header of the checkpoint.
        train_seconds: Seconds of its training; 0 if it was loaded.
    """

    model: nn.Module
    path: Path
    header: CheckpointHeader
    train_seconds: float


def load_or_train(
    spec: ModelSpec,
    dataset: Dataset,
    recipe: Recipe,
    device: torch.device,
    *,
    train_examples: int | None = None,
) -> TrainedModel:
    """Load the checkpoint of exactly these settings, or train the network and save it.

    Args:
        spec: The network.
        dataset: The data set to train on.
        recipe: The recipe of the training.
        device: The device to train on.
        train_examples: Number of training images, a fixed class-balanced subset; None takes all.

    Raises:
        RbmixError: A name is wrong, or the checkpoint is damaged.
    """
    split, path = split_and_checkpoint_path(spec, dataset, recipe, train_examples)
    if not path.exists():
        with exclusive_lock(path):  # another process may be training it now
            if not path.exists():
                return _train_and_save(spec, dataset, split, recipe, device, path)
    trained = load_checkpoint(spec, dataset, path)
    header = trained.header
    is_other = (header.recipe, header.dataset) != (recipe, dataset.name)
    if is_other or None in (header.train_examples, header.test_accuracy):
        raise RbmixError(f"checkpoint {path} is of other settings than its name says; delete it")
    delete_resume_state(path)  # left by a process that was killed just after training
    return trained


def load_checkpoint(spec: ModelSpec, dataset: Dataset, path: Path) -> TrainedModel:
    """Load one of our checkpoints into the network of `spec`.

    Args:
        spec: The network.
        dataset: The data set that it must fit.
        path: The path of the checkpoint.

    Raises:
        RbmixError: The file is missing, damaged, or of another network.
    """
    model = factory.build(spec, factory.shape_of(dataset), *dataset.statistics())
    header = checkpoint.load(model, path)
    if header.spec != spec:
        found = as_json(header.spec) if header.spec else None
        raise RbmixError(f"checkpoint {path} is of {found}, not of {as_json(spec)}")
    logger.info(f"loaded {path}")
    model.to(memory_format=torch.channels_last).eval()
    return TrainedModel(model, path, header, 0.0)


def _train_and_save(
    spec: ModelSpec,
    dataset: Dataset,
    split: Split,
    recipe: Recipe,
    device: torch.device,
    path: Path,
) -> TrainedModel:
    """Train the network, continuing a killed training if there is one, and save it."""
    name = f"{spec.model} (spatial {spec.spatial}, channel {spec.channel}, seed {spec.seed})"
    logger.info(f"training {name} on {len(split):,} images of {dataset.name}: no checkpoint yet")
    with training_threads(device):
        made_with = compute_environment(device)  # the commit is that of the code that trains
    resume_state = ResumeState(path, made_with)
    model = factory.build(spec, factory.shape_of(dataset), *dataset.statistics())
    for layer in unreached_convolutions(model) if spec.spatial != "learned" else []:
        logger.info(f"{layer.name} is left out: {layer.note}")
    trained = train(
        model, split, dataset.test, recipe, spec.seed, device, resume_state=resume_state
    )
    header = CheckpointHeader(
        spec=spec,
        recipe=recipe,
        dataset=dataset.name,
        classes=list(dataset.classes),
        image=list(dataset.train.images.shape[1:]),
        train_examples=len(split),
        train_hash=split.hash,
        test_accuracy=trained.test_accuracy,
        time_seconds=trained.time_seconds,
        **made_with,
        date=provenance.today(),
    )
    if trained.last is not None:
        _save_last_weights(model, header, split, trained.last)
    checkpoint.save(model, header, path)
    delete_resume_state(path)
    logger.info(
        f"trained in {trained.time_seconds:.0f} s to {trained.test_accuracy:.1%} clean "
        f"accuracy, kept as {path}"
    )
    return TrainedModel(model, path, checkpoint.read_header(path), trained.time_seconds)


def _save_last_weights(
    model: nn.Module, header: CheckpointHeader, split: Split, last: LastWeights
) -> None:
    """Save the last weights of a training that averages, as what they are without averaging.

    So the same training can be evaluated both ways. A checkpoint that exists stays as it is.
    """
    assert header.spec is not None  # it was trained here
    assert header.recipe is not None
    assert header.dataset is not None
    recipe = replace(header.recipe, averaging=None)
    path = checkpoint.path_for(header.spec, recipe, header.dataset, split.hash)
    if path.exists():
        return
    with borrowed_weights(model, last.weights):
        changed = structs.replace(header, recipe=recipe, test_accuracy=last.test_accuracy)
        checkpoint.save(model, changed, path)
    logger.info(f"kept the weights of the last step as {path}")


def split_and_checkpoint_path(
    spec: ModelSpec, dataset: Dataset, recipe: Recipe, train_examples: int | None = None
) -> tuple[Split, Path]:
    """Return the images to train on, and the path of the checkpoint of exactly these settings.

    Args:
        spec: The network.
        dataset: The data set to train on.
        recipe: The recipe of the training.
        train_examples: Number of training images; None takes all.
    """
    split = balanced_subset(dataset.train, train_examples) if train_examples else dataset.train
    return split, checkpoint.path_for(spec, recipe, dataset.name, split.hash)
