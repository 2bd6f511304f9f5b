"""Load the network of a plan: train it if needed, or use the weights that it comes with."""

from __future__ import annotations

from pathlib import Path

import torch

from robustbench_mix.config.training import Recipe, adversarial_eps, recipe_for
from robustbench_mix.config.weights import WeightsFile
from robustbench_mix.data.dataset import Dataset
from robustbench_mix.data.shape import shape_of
from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation.harness import classes_of
from robustbench_mix.evaluation.identity import Label
from robustbench_mix.evaluation.inputs import load_inputs
from robustbench_mix.evaluation.model_plan import ModelPlan
from robustbench_mix.evaluation.plan import TrainingPlan
from robustbench_mix.evaluation.pretrained import load_pretrained
from robustbench_mix.models import checkpoint
from robustbench_mix.models.checkpoint import CheckpointHeader
from robustbench_mix.models.factory import check_output_count
from robustbench_mix.models.given import adapt, as_module
from robustbench_mix.models.sources import registry
from robustbench_mix.runtime.devices import pick_precision
from robustbench_mix.storage.files import check_writable
from robustbench_mix.storage.paths import cache_folder
from robustbench_mix.training.load_or_train import (
    TrainedModel,
    load_checkpoint,
    load_or_train,
    split_and_checkpoint_path,
)


def train(plan: TrainingPlan) -> TrainedModel:
    """Train the network of a plan, or load it if it is cached.

    Raises:
        RbmixError: For what a user can fix.
    """
    check_exists(plan.model)
    inputs = load_inputs(plan)
    return train_model(plan.model, inputs.dataset, inputs.device)


def train_model(plan: ModelPlan, dataset: Dataset, device: torch.device) -> TrainedModel:
    """Train a network on loaded data, or load it if it is cached.

    Args:
        plan: The network.
        dataset: The data set to train on.
        device: The device to train on.
    """
    if dataset.train is dataset.test:
        raise RbmixError(
            f"data set {dataset.name!r} has no training images (allowed: a dictionary with train "
            "and test from its function), and the network would have to be trained"
        )
    check_writable(cache_folder() / "checkpoints")
    recipe = recipe_of(plan, dataset.name, device)
    return load_or_train(plan.spec, dataset, recipe, device, train_examples=plan.training.examples)


def load_model(
    plan: ModelPlan, dataset: Dataset, device: torch.device
) -> tuple[Label, TrainedModel]:
    """Return the network of a plan with its weights, and its name in records.

    It is trained if needed.

    Args:
        plan: The network.
        dataset: The data set that it must fit.
        device: The device to train on.

    Raises:
        RbmixError: For what a user can fix.
    """
    spec = plan.spec
    if plan.module is not None:
        label = Label(spec.model, "external", "external", spec.seed)
        network = adapt(as_module(plan.module), dataset.test.pixels(0, 2))
        if not dataset.labels_are_outputs:
            outputs = classes_of(network, dataset.test, device)
            check_output_count(outputs, shape_of(dataset), spec.model)
        return label, TrainedModel(network, Path(), CheckpointHeader(), 0.0)
    if is_pretrained(plan):
        return load_pretrained(plan, dataset)
    if plan.weights is not None and plan.file is not None:
        if plan.weights != WeightsFile(plan.file):
            raise RbmixError(
                f"{plan.file} is a checkpoint of rbmix, with one set of weights: --weights-key and "
                "--ignore-weights go with the file of a network of your own"
            )
        return label_of(plan), load_checkpoint(spec, dataset, plan.file)
    return label_of(plan), train_model(plan, dataset, device)


def is_pretrained(plan: ModelPlan) -> bool:
    """Return whether the network comes with weights that are no checkpoint of rbmix."""
    if plan.file is None:
        return not plan.is_trained
    return not (
        registry.parse(plan.spec.model).is_builtin or checkpoint.is_rbmix_checkpoint(plan.file)
    )


def label_of(plan: ModelPlan) -> Label:
    """Return the name in records of a network that rbmix trained."""
    spec = plan.spec
    return Label(spec.name, spec.spatial, spec.channel, spec.seed)


def check_exists(plan: ModelPlan) -> None:
    """Raise RbmixError for a network that its library does not have; nothing is downloaded."""
    if plan.module is None:
        registry.parse(plan.spec.model).check()


def recipe_of(plan: ModelPlan, dataset: str, device: torch.device) -> Recipe:
    """Return the recipe of the network on a data set, with the user's changes."""
    training = plan.training
    precision = pick_precision(training.precision, device)
    recipe = recipe_for(plan.spec.model, dataset)
    return training.apply_to(recipe, precision, adversarial_eps(dataset))


def checkpoint_header(
    plan: ModelPlan, dataset: Dataset, device: torch.device
) -> CheckpointHeader | None:
    """Return the header of the checkpoint of exactly these settings, None if there is none."""
    recipe = recipe_of(plan, dataset.name, device)
    _, path = split_and_checkpoint_path(plan.spec, dataset, recipe, plan.training.examples)
    header = checkpoint.read_header(path) if path.exists() else None
    return header if header is not None and header.spec == plan.spec else None
