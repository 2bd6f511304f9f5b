"""The jobs behind the commands: names and numbers in, records out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import torch

from robustbench_mix import data, probing, progress, protocols, zoo
from robustbench_mix import unshuffle as shuffling
from robustbench_mix.devices import fitting_batch, pick_device, pick_precision
from robustbench_mix.errors import RbmixError, unknown
from robustbench_mix.evaluate import Evaluation, default_examples
from robustbench_mix.evaluate import evaluate as evaluate_model
from robustbench_mix.files import check_writable, home
from robustbench_mix.grids import MAX_PIECES
from robustbench_mix.identity import Label
from robustbench_mix.obtain import Obtained, from_user, obtain
from robustbench_mix.recipes import adversarial_eps, recipe_for
from robustbench_mix.specs import (
    BACKENDS,
    MAX_BATCH,
    MAX_EPOCHS,
    MAX_EXAMPLES,
    Adversarial,
    ModelSpec,
    Recipe,
    check_count,
    check_seed,
    parse_eps,
)
from robustbench_mix.splits import balanced
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
        """Raises RbmixError for numbers out of range and a radius that nothing would use."""
        check_count("epochs", self.epochs, MAX_EPOCHS)
        check_count("number of examples", self.examples, MAX_EXAMPLES)
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
    check_count("number of examples", examples, MAX_EXAMPLES)
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
    training.check()
    count = len(widths) * len(depths) * len(kernels) * len(spatial)
    if count > MAX_PIECES:
        raise RbmixError(f"{count:,} networks (allowed: up to {MAX_PIECES:,})")
    decoders = [
        Decoder(width, depth, kernel, patch, mode, seed=seed)
        for width, depth, kernel, mode in product(widths, depths, kernels, spatial)
    ]
    check_count("number of examples", examples, MAX_EXAMPLES)
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
    dataset: str,
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
    loaded = data.load(dataset)
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
    model: str,
    spatial: str,
    channel: str,
    seed: int,
    dataset: str,
    attack: str,
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
    fresh: bool = False,
    quiet: bool = False,
) -> Evaluation:
    """Evaluate the named model, training it first if need be; checks all words first."""
    progress.set_quiet(quiet)
    own = ":" in model
    if weights is not None and not own:
        raise RbmixError(f"--weights {weights} goes with your own model, package.module:callable")
    if not own:
        zoo.family(model)
    check_count("number of examples", examples, MAX_EXAMPLES)
    check_count("batch size", batch_size, MAX_BATCH)
    if backend is not None and backend not in BACKENDS:
        raise unknown("backend", backend, BACKENDS)
    spec = ModelSpec("" if own else model, spatial, channel, check_seed(seed))
    protocols.load(attack, dataset="", eps=eps, norm=norm)
    training.check()
    check_writable(results)
    where = pick_device(device)
    loaded = data.load(dataset)
    protocol = protocols.load(attack, loaded.name, eps=eps, norm=norm)
    if own:
        label = Label(model, "external", "external", seed)
        obtained = from_user(model, weights)
    else:
        label = Label(spec.model, spec.spatial, spec.channel, spec.seed)
        obtained = train(
            model=model, spatial=spatial, channel=channel, seed=seed, dataset=dataset,
            training=training, device=device, quiet=quiet,
        )  # fmt: skip
    return evaluate_model(
        label, obtained, loaded, protocol, results, where,
        examples=default_examples(loaded.name) if examples is None else examples,
        batch_size=batch_size or fitting_batch(loaded.size, where),
        backend=backend, exhaustive=exhaustive, fresh=fresh,
    )  # fmt: skip
