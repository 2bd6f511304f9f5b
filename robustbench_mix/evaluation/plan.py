"""The jobs behind the commands: names and numbers in, records out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from robustbench_mix.config import command_checks, protocols
from robustbench_mix.config.canonical import as_json
from robustbench_mix.config.model import Interface, ModelSpec
from robustbench_mix.config.protocols import Protocol
from robustbench_mix.config.training import Adversarial, Recipe, adversarial_eps, recipe_for
from robustbench_mix.config.training import Training as Training
from robustbench_mix.data import loaders
from robustbench_mix.data.dataset import Dataset, balanced_subset
from robustbench_mix.evaluation import evaluate as evaluation
from robustbench_mix.evaluation import explain as probing
from robustbench_mix.evaluation import pretrained as brought
from robustbench_mix.evaluation import unshuffling_run
from robustbench_mix.evaluation.evaluate import Evaluation, default_examples
from robustbench_mix.evaluation.identity import Label
from robustbench_mix.evaluation.resume import Shard
from robustbench_mix.evaluation.schedules import schedule_of
from robustbench_mix.models import checkpoint, factory
from robustbench_mix.runtime import progress
from robustbench_mix.runtime.devices import default_batch_size, pick_device, pick_precision
from robustbench_mix.storage.files import check_writable
from robustbench_mix.storage.paths import cache_folder
from robustbench_mix.training import unshuffling
from robustbench_mix.training.load_or_train import (
    TrainedModel,
    load_checkpoint,
    load_or_train,
    split_and_checkpoint_path,
)


def explain(
    *,
    model: str,
    spatial: str,
    channel: str,
    seed: int,
    dataset: str,
    examples: int | None,
    eps: list[str] | None,
    results: Path,
    training: Training,
    device: str,
    interface: Interface | None = None,
    quiet: bool = False,
) -> list[Path]:
    """Measure a network, its learned twin, and how their examples transfer; the records."""
    progress.set_quiet(quiet)
    command_checks.explanation(
        model=model, spatial=spatial, channel=channel, seed=seed, dataset=dataset,
        examples=examples, eps=eps, training=training, device=device, interface=interface,
    )  # fmt: skip
    factory.family(model)
    name = ModelSpec(model, spatial, channel, seed, interface).name
    check_writable(results)
    where = pick_device(device)
    loaded = loaders.load(dataset)
    split = balanced_subset(loaded.test, examples or default_examples(loaded.name))
    grid = [one.text for one in protocols.load("fgsm", loaded.name, eps=eps).eps]
    common = (loaded, split, grid, results, where)
    paths = []
    twins = []
    for mode in dict.fromkeys(("learned", spatial)):
        trained = train(
            model=model, spatial=mode, channel=channel, seed=seed, dataset=dataset,
            training=training, device=device, interface=interface, quiet=quiet,
        )  # fmt: skip
        label = Label(name, mode, channel, seed)
        paths.append(probing.probe(label, trained, *common))
        twins.append((label, trained))
    if len(twins) == 2:
        (_, learned), (label, other) = twins
        paths.append(probing.transfer(label, other, learned, *common))
    return paths


def unshuffle(
    *,
    widths: list[int],
    depths: list[int],
    kernels: list[int],
    patch: int,
    spatial: list[str],
    seed: int,
    dataset: str,
    examples: int,
    results: Path,
    training: Training,
    device: str,
    quiet: bool = False,
) -> list[Path]:
    """Train every combination to undo a permutation; the paths of their records."""
    progress.set_quiet(quiet)
    unshufflers = command_checks.unshufflers(
        widths=widths, depths=depths, kernels=kernels, patch=patch, spatial=spatial, seed=seed,
        dataset=dataset, examples=examples, training=training, device=device,
    )  # fmt: skip
    check_writable(results)
    where = pick_device(device)
    loaded = loaders.load(dataset)
    recipe = decoder_recipe(loaded.name, training, where)
    return [
        unshuffling_run.unshuffle(
            unshuffler, loaded, recipe, results, where,
            train_examples=training.examples, examples=examples,
        )
        for unshuffler in unshufflers
    ]  # fmt: skip


def decoder_recipe(dataset: str, training: Training, device: torch.device) -> Recipe:
    """The un-shufflers' recipe with the user's changes."""
    return _changed(unshuffling.recipe_for(dataset), training, device)


def train(
    *,
    model: str,
    spatial: str,
    channel: str,
    seed: int,
    dataset: str | Dataset,
    training: Training,
    device: str,
    interface: Interface | None = None,
    quiet: bool = False,
) -> TrainedModel:
    """Train the named model, or load it if it is cached."""
    progress.set_quiet(quiet)
    command_checks.training(
        model=model, spatial=spatial, channel=channel, seed=seed,
        dataset=None if isinstance(dataset, Dataset) else dataset, training=training,
        device=device, interface=interface,
    )  # fmt: skip
    spec = ModelSpec(model, spatial, channel, seed, interface)
    factory.family(model)
    where = pick_device(device)
    check_writable(cache_folder() / "checkpoints")
    loaded = dataset if isinstance(dataset, Dataset) else loaders.load(dataset)
    recipe = recipe_of(spec, loaded.name, training, where)
    return load_or_train(spec, loaded, recipe, where, train_examples=training.examples)


def recipe_of(spec: ModelSpec, dataset: str, training: Training, device: torch.device) -> Recipe:
    """The recipe of the model's family with the user's changes."""
    recipe = recipe_for(factory.family(spec.model), dataset)
    eps = training.adversarial_eps or adversarial_eps(dataset)
    recipe = replace(recipe, adversarial=Adversarial(eps) if training.adversarial else None)
    return _changed(recipe, training, device)


def _changed(recipe: Recipe, training: Training, device: torch.device) -> Recipe:
    return replace(
        recipe,
        epochs=recipe.epochs if training.epochs is None else training.epochs,
        lr=recipe.lr if training.lr is None else training.lr,
        precision=pick_precision(training.precision, device),
    )


def evaluate(
    *,
    model: str | nn.Module,
    spatial: str | None,
    channel: str | None,
    seed: int,
    dataset: str | Dataset,
    attack: str | Protocol,
    eps: list[str] | None,
    norm: str | None,
    examples: int | None,
    batch_size: int | None,
    weights: Path | None,
    results: Path,
    training: Training,
    device: str,
    pretrained: bool = False,
    interface: Interface | None = None,
    backend: str | None = None,
    exhaustive: bool = False,
    randomised: bool = False,
    fresh: bool = False,
    quiet: bool = False,
) -> Evaluation:
    """Evaluate a model, by name or as it is, training it first if need be.

    Names are words of the command line; checks all of them first. `spatial` and `channel` None
    leave a network with weights of its own as it is, and are `learned` for one that is trained
    (see `pretrained.comes_with_weights`). With `weights` nothing is trained: they are one of our
    checkpoints, or any for your own model.
    """
    progress.set_quiet(quiet)
    word = model if isinstance(model, str) else type(model).__name__
    command_checks.evaluation(
        model=word, spatial=spatial, channel=channel, seed=seed,
        dataset=None if isinstance(dataset, Dataset) else dataset, attack=attack, eps=eps,
        norm=norm, examples=examples, batch_size=batch_size, weights=weights, training=training,
        device=device, pretrained=pretrained, interface=interface, backend=backend,
        exhaustive=exhaustive, randomised=randomised, is_module=isinstance(model, nn.Module),
    )  # fmt: skip
    spec = ModelSpec(word, spatial or "learned", channel or "learned", seed, interface)
    is_brought = isinstance(model, nn.Module) or brought.comes_with_weights(
        model, spatial=spatial, channel=channel, file=weights, pretrained=pretrained
    )
    check_writable(results)
    where = pick_device(device)
    loaded = dataset if isinstance(dataset, Dataset) else loaders.load(dataset)
    protocol = command_checks.protocol_of(attack, loaded.name, eps, norm)
    size = factory.input_shape(spec, factory.shape_of(loaded)).size
    wishes: dict[str, Any] = {
        "backend": backend, "exhaustive": exhaustive, "randomised": randomised
    }  # fmt: skip
    sizes: dict[str, Any] = {
        "examples": default_examples(loaded.name) if examples is None else examples,
        "batch_size": batch_size or default_batch_size(size, where),
    }
    # Before anything is trained; an attack may still ask for more classes than the model has.
    schedule_of(protocol, max(len(loaded.classes), 2), **wishes)
    if isinstance(model, nn.Module):
        label = Label(word, "external", "external", seed)
        trained = TrainedModel(model, Path(), {}, 0.0)
    elif is_brought:
        label, trained = brought.load_network(
            model, loaded, spatial=spatial, channel=channel, seed=seed, interface=interface,
            file=weights,
        )  # fmt: skip
    else:
        label = Label(spec.name, spec.spatial, spec.channel, spec.seed)
        if weights is not None:
            trained = load_checkpoint(spec, loaded, weights)
        else:
            header = _checkpoint(spec, loaded, training, where)
            if header and not fresh:
                done = evaluation.recorded(
                    label, header, loaded, protocol, results, where, **sizes, **wishes
                )
                if done is not None:
                    return done
            trained = train(
                model=model, spatial=spec.spatial, channel=spec.channel, seed=seed,
                dataset=loaded, training=training, device=device, interface=interface, quiet=quiet,
            )  # fmt: skip
    task = evaluation.task(label, trained, loaded, protocol, results, where, **sizes, **wishes)
    return evaluation.evaluate(task, fresh=fresh)


def _checkpoint(
    spec: ModelSpec, dataset: Dataset, training: Training, device: torch.device
) -> dict[str, Any]:
    """The header of the checkpoint of exactly these settings, empty where there is none."""
    recipe = recipe_of(spec, dataset.name, training, device)
    _, path = split_and_checkpoint_path(spec, dataset, recipe, training.examples)
    header = checkpoint.read_header(path) if path.exists() else {}
    return header if header.get("spec") == as_json(spec) else {}


def attack_shard(
    *,
    model: str,
    spatial: str,
    channel: str,
    seed: int,
    dataset: str,
    attack: str,
    examples: int | None,
    results: Path,
    training: Training,
    device: str,
    shard: Shard,
    quiet: bool = False,
) -> None:
    """Attack a part of the images of what `evaluate` would with the same arguments."""
    progress.set_quiet(quiet)
    loaded = loaders.load(dataset)
    where = pick_device(device)
    trained = train(
        model=model, spatial=spatial, channel=channel, seed=seed, dataset=loaded,
        training=training, device=device, quiet=quiet,
    )  # fmt: skip
    task = evaluation.task(
        Label(model, spatial, channel, seed), trained, loaded, protocols.load(attack, loaded.name),
        results, where, examples=examples or default_examples(loaded.name),
        batch_size=default_batch_size(loaded.size, where),
    )  # fmt: skip
    evaluation.attack_shard(task, shard)
