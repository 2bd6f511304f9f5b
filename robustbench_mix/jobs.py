"""The jobs behind the commands: names and numbers in, records out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import torch
from torch import nn

from robustbench_mix import data, probing, progress, protocols, zoo
from robustbench_mix import unshuffle as shuffling
from robustbench_mix.devices import fitting_batch, pick_device, pick_precision
from robustbench_mix.errors import RbmixError, unknown
from robustbench_mix.evaluation import Evaluation, default_examples
from robustbench_mix.evaluation import evaluate as evaluate_model
from robustbench_mix.files import check_writable, home
from robustbench_mix.identity import Label
from robustbench_mix.obtain import Obtained, from_user, obtain
from robustbench_mix.protocols import Protocol
from robustbench_mix.recipes import adversarial_eps, recipe_for
from robustbench_mix.schedules import schedule_of
from robustbench_mix.specs import (
    BACKENDS,
    Adversarial,
    ModelSpec,
    Recipe,
    check_seed,
    parse_eps,
)
from robustbench_mix.splits import Dataset, balanced
from robustbench_mix.unshuffle import Decoder


@dataclass(frozen=True)
class Training:
    """What the user wants changed in the recipe; None keeps it.

    `adversarial` trains on PGD examples, within `adversarial_eps` if that is given.
    """

    epochs: int | None = None
    examples: int | None = None
    lr: float | None = None
    precision: str = "auto"
    adversarial: bool = False
    adversarial_eps: str | None = None

    def check(self) -> None:
        """Raises RbmixError for a radius that is none, or that nothing would use."""
        if self.adversarial_eps is None:
            return
        parse_eps(self.adversarial_eps, "linf")
        if not self.adversarial:
            raise RbmixError(f"--adversarial-eps {self.adversarial_eps} needs --adversarial")


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
    quiet: bool = False,
) -> list[Path]:
    """Measure a network, its learned twin, and how their examples transfer; the records."""
    progress.set_quiet(quiet)
    _check_count("number of examples", examples)
    zoo.family(model)
    ModelSpec(model, spatial, channel, seed)
    protocols.load("fgsm", "", eps=eps)
    check_writable(results)
    where = pick_device(device)
    loaded = data.load(dataset)
    split = balanced(loaded.test, examples or default_examples(loaded.name))
    grid = [one.text for one in protocols.load("fgsm", loaded.name, eps=eps).eps]
    common = (loaded, split, grid, results, where)
    paths = []
    twins = []
    for mode in dict.fromkeys(("learned", spatial)):
        obtained = train(
            model=model, spatial=mode, channel=channel, seed=seed, dataset=dataset,
            training=training, device=device, quiet=quiet,
        )  # fmt: skip
        label = Label(model, mode, channel, seed)
        paths.append(probing.probe(label, obtained, *common))
        twins.append((label, obtained))
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
    check_seed(seed)
    decoders = [
        Decoder(width, depth, kernel, patch, mode, seed=seed)
        for width, depth, kernel, mode in product(widths, depths, kernels, spatial)
    ]
    _check_count("number of examples", examples)
    check_writable(results)
    where = pick_device(device)
    loaded = data.load(dataset)
    recipe = decoder_recipe(loaded.name, training, where)
    return [
        shuffling.unshuffle(
            decoder, loaded, recipe, results, where,
            train_examples=training.examples, examples=examples,
        )
        for decoder in decoders
    ]  # fmt: skip


def decoder_recipe(dataset: str, training: Training, device: torch.device) -> Recipe:
    """The un-shufflers' recipe with the user's changes."""
    return _changed(shuffling.recipe_for(dataset), training, device)


def train(
    *,
    model: str,
    spatial: str,
    channel: str,
    seed: int,
    dataset: str | Dataset,
    training: Training,
    device: str,
    quiet: bool = False,
) -> Obtained:
    """Train the named model, or load it if it is cached."""
    progress.set_quiet(quiet)
    spec = ModelSpec(model, spatial, channel, seed)
    training.check()
    zoo.family(model)
    where = pick_device(device)
    check_writable(home() / "checkpoints")
    loaded = dataset if isinstance(dataset, Dataset) else data.load(dataset)
    recipe = recipe_of(spec, loaded.name, training, where)
    return obtain(spec, loaded, recipe, where, train_examples=training.examples)


def recipe_of(spec: ModelSpec, dataset: str, training: Training, device: torch.device) -> Recipe:
    """The recipe of the model's family with the user's changes."""
    recipe = recipe_for(zoo.family(spec.model), dataset)
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
    spatial: str,
    channel: str,
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
    backend: str | None = None,
    exhaustive: bool = False,
    randomised: bool = False,
    fresh: bool = False,
    quiet: bool = False,
) -> Evaluation:
    """Evaluate a model, by name or as it is, training it first if need be.

    Names are words of the command line; checks all of them first.
    """
    progress.set_quiet(quiet)
    named = isinstance(model, str) and not zoo.is_external(model)
    if weights is not None and (named or not isinstance(model, str)):
        raise RbmixError(f"--weights {weights} goes with your own model, package.module:callable")
    if isinstance(model, str) and named:
        zoo.family(model)
    _check_count("number of examples", examples)
    _check_count("batch size", batch_size)
    if backend is not None and backend not in BACKENDS:
        raise unknown("backend", backend, BACKENDS)
    ModelSpec("", spatial, channel, check_seed(seed))
    _protocol(attack, "", eps, norm)
    training.check()
    check_writable(results)
    where = pick_device(device)
    loaded = dataset if isinstance(dataset, Dataset) else data.load(dataset)
    protocol = _protocol(attack, loaded.name, eps, norm)
    # Before anything is trained; an attack may still ask for more classes than the model has.
    schedule_of(
        protocol, max(len(loaded.classes), 2), backend, exhaustive=exhaustive, randomised=randomised
    )
    if not isinstance(model, str):
        label = Label(type(model).__name__, "external", "external", seed)
        obtained = Obtained(model, Path(), {}, 0.0)
    elif not named:
        label = Label(model, "external", "external", seed)
        obtained = from_user(model, weights)
    else:
        label = Label(model, spatial, channel, seed)
        obtained = train(
            model=model, spatial=spatial, channel=channel, seed=seed, dataset=loaded,
            training=training, device=device, quiet=quiet,
        )  # fmt: skip
    return evaluate_model(
        label, obtained, loaded, protocol, results, where,
        examples=default_examples(loaded.name) if examples is None else examples,
        batch_size=batch_size or fitting_batch(loaded.size, where),
        backend=backend, exhaustive=exhaustive, randomised=randomised, fresh=fresh,
    )  # fmt: skip


def _protocol(
    attack: str | Protocol, dataset: str, eps: list[str] | None, norm: str | None
) -> Protocol:
    """The named protocol, or the given one with another grid."""
    if isinstance(attack, str):
        return protocols.load(attack, dataset, eps=eps, norm=norm)
    return protocols.changed(attack, eps=eps, norm=norm)


def _check_count(name: str, number: int | None) -> None:
    if number is not None and number < 1:
        raise RbmixError(f"{name} {number} must be at least 1")
