"""Train a network to un-shuffle, decode the test images, and write the records."""

from __future__ import annotations

import logging
import time
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn

from robustbench_mix.config.canonical import as_json, short_hash
from robustbench_mix.config.model import Unshuffler
from robustbench_mix.config.training import Recipe
from robustbench_mix.data.dataset import Dataset, Split, balanced_subset
from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation.inputs import Inputs, load_inputs
from robustbench_mix.evaluation.plan import UnshufflingPlan
from robustbench_mix.results.headers import UnshufflingHeader
from robustbench_mix.results.unshuffling import DECODED, PICTURES, path_for
from robustbench_mix.runtime import provenance
from robustbench_mix.runtime.devices import compute_environment, pick_precision, training_threads
from robustbench_mix.runtime.progress import report_if_slow
from robustbench_mix.storage import parquet_table
from robustbench_mix.storage.files import check_writable
from robustbench_mix.storage.locks import exclusive_lock
from robustbench_mix.training.resume import ResumeState, delete_resume_state
from robustbench_mix.training.unshuffling import (
    build,
    describe_limits,
    permutation,
    shuffle,
    train,
    unshuffling_recipe,
)

logger = logging.getLogger(__name__)

BATCH = 256


def unshuffle(plan: UnshufflingPlan, results: Path) -> list[Path]:
    """Train every network of a plan, decode the test images and write the records.

    A finished run of the same settings is left as it is.

    Returns:
        The paths of the records.

    Raises:
        RbmixError: A patch does not divide the image, or something else that a user can fix.
    """
    check_writable(results)
    inputs = load_inputs(plan)
    recipe = recipe_of(plan, inputs)
    return [
        _unshuffle_with(unshuffler, plan, inputs, recipe, results)
        for unshuffler in plan.unshufflers
    ]


def recipe_of(plan: UnshufflingPlan, inputs: Inputs) -> Recipe:
    """Return the recipe of the un-shufflers with the user's changes."""
    training = plan.training
    precision = pick_precision(training.precision, inputs.device)
    return training.apply_to(unshuffling_recipe(inputs.dataset.name), precision)


def _unshuffle_with(
    unshuffler: Unshuffler, plan: UnshufflingPlan, inputs: Inputs, recipe: Recipe, results: Path
) -> Path:
    """Train one network, decode with it, and return the path of its records."""
    height, width = inputs.dataset.train.images.shape[2:]
    if height % unshuffler.patch or width % unshuffler.patch:
        raise RbmixError(f"patch {unshuffler.patch} does not divide images of {height} x {width}")
    train_split = train_split_of(plan, inputs.dataset)
    path = path_of(unshuffler, inputs, recipe, train_split, results)
    with exclusive_lock(path):
        if path.exists():
            logger.info(f"already un-shuffled, see {path}")
        else:
            _train_and_decode(unshuffler, inputs, recipe, train_split, path)
        delete_resume_state(path)
    return path


def _train_and_decode(
    unshuffler: Unshuffler, inputs: Inputs, recipe: Recipe, train_split: Split, path: Path
) -> None:
    """Train the network, continuing a killed training, and decode the test images."""
    dataset, split, device = inputs.dataset, inputs.split, inputs.device
    height, width = dataset.train.images.shape[2:]
    for line in describe_limits(unshuffler, height, width):
        logger.info(f"warning: {line}")
    order = permutation(height * width, unshuffler.seed)
    model = build(unshuffler, dataset.channels, *dataset.statistics())
    with training_threads(device):
        made_with = compute_environment(device)
        resume_state = ResumeState(path, made_with)
        seconds = train(model, unshuffler, recipe, train_split, order, device, resume_state)
        started = time.perf_counter()
        with report_if_slow(f"decoding {len(split):,} test images"):
            table = _decode(model, split, order, device)
    header = UnshufflingHeader(
        model=unshuffler.name,
        **asdict(unshuffler),
        dataset=dataset.name,
        image=[dataset.channels, height, width],
        levels=split.grey_levels,
        n=len(split),
        train_examples=len(train_split),
        epochs=recipe.epochs,
        recipe=as_json(recipe),
        data_hash=split.hash,
        reach=unshuffler.reach,
        **made_with,
    )
    seconds += time.perf_counter() - started
    parquet_table.write(path, header, table, {"date": provenance.today(), "time_seconds": seconds})


def train_split_of(plan: UnshufflingPlan, dataset: Dataset) -> Split:
    """Return the images to train on."""
    examples = plan.training.examples
    return balanced_subset(dataset.train, examples) if examples else dataset.train


def path_of(
    unshuffler: Unshuffler, inputs: Inputs, recipe: Recipe, train_split: Split, results: Path
) -> Path:
    """Return the path of the records of these settings.

    Args:
        unshuffler: The network.
        inputs: The data, and the device.
        recipe: The recipe of the training.
        train_split: The images to train on.
        results: The results folder.
    """
    key = short_hash([asdict(unshuffler), as_json(recipe), train_split.hash, inputs.split.hash])
    name = inputs.dataset.name
    return path_for(results, name, unshuffler.name, unshuffler.spatial, unshuffler.seed, key)


@torch.no_grad()
def _decode(model: nn.Module, split: Split, order: Tensor, device: torch.device) -> pd.DataFrame:
    """Compute the mean squared error of each test image, and the pixels of a few images."""

    def decoded(x: Tensor) -> tuple[Tensor, Tensor]:
        given = shuffle(x, order.to(device)).contiguous(memory_format=torch.channels_last)
        return given, model(given).clamp(0, 1)

    errors: list[float] = []
    for start in range(0, len(split), BATCH):
        x = split.pixels(start, start + BATCH).to(device)
        errors += ((decoded(x)[1] - x) ** 2).flatten(1).mean(1).tolist()
    shown = balanced_subset(split, DECODED)
    x = shown.pixels().to(device)
    columns: dict[str, list[bytes | None]] = {name: [None] * len(split) for name in PICTURES}
    for name, images in zip(PICTURES, (x, *decoded(x)), strict=True):
        for row, image in zip(split.positions_of(shown), images.cpu(), strict=True):
            levels = (255 * image).round().to(torch.uint8)
            columns[name][row] = levels.contiguous().numpy().tobytes()
    return pd.DataFrame({"image": split.index.tolist(), "mse": errors, **columns})
