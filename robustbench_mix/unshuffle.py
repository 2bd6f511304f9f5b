"""Pixel un-shuffling: a ConvMixer undoes one fixed permutation of the pixel positions.

Section 6 of arXiv 2503.16760: the same permutation for every image, the mean squared error
between the image and what the network makes of its shuffled form, and the PSNR on test
images. The paper states neither recipe nor peak nor clipping: ours are AdamW as for its
classifiers, without shifts and mirrors, a peak of 1, and outputs clipped to [0, 1].
"""

from __future__ import annotations

import math
import time
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from robustbench_mix import provenance, tables
from robustbench_mix.convmixer import ConvMixer
from robustbench_mix.decodings import DECODED, PICTURES, path_for
from robustbench_mix.devices import conditions, training_threads
from robustbench_mix.errors import RbmixError
from robustbench_mix.fit import Loss, fit
from robustbench_mix.locks import alone
from robustbench_mix.mixing import set_mixing
from robustbench_mix.normalized import Normalized
from robustbench_mix.progress import doing, say
from robustbench_mix.recipes import recipe_for as classifier_recipe
from robustbench_mix.specs import Decoder, Recipe, as_json, parse_spatial, short_hash
from robustbench_mix.splits import Dataset, Split, balanced
from robustbench_mix.unfinished import Unfinished, forget
from robustbench_mix.zoo import check_size

BATCH = 256


class Projector(ConvMixer):
    """ConvMixer whose pooling and classifier are a linear projection at every position.

    (B, C, H, W) -> (B, C, H, W); H and W multiples of the patch.
    """

    def __init__(self, width: int, depth: int, kernel: int, patch: int, channels: int) -> None:
        super().__init__(width, depth, kernel, patch, channels * patch**2, channels)
        self.patch = patch

    def forward(self, x: Tensor) -> Tensor:
        y = self.blocks(self.embedding(x)).permute(0, 2, 3, 1)
        return F.pixel_shuffle(self.head(y).permute(0, 3, 1, 2), self.patch)


def recipe_for(dataset: str) -> Recipe:
    """The classifiers' recipe without what would move pixels."""
    return replace(classifier_recipe("convmixer", dataset), pad=0, flip=False)


def warnings(decoder: Decoder, height: int, width: int) -> list[str]:
    """One line for each reason why this network cannot do well, or is not the paper's."""
    lines = []
    needed = max(height, width) - 1
    if decoder.reach < needed:
        lines.append(
            f"{decoder.name} reaches {decoder.reach} pixels, an image of {height} x {width} needs "
            f"{needed}: some pixels come from where it cannot see"
        )
    if decoder.patch != 1:
        lines.append(f"{decoder.name}: patch {decoder.patch} mixes positions; the paper has 1")
    return lines


def permutation(positions: int, seed: int) -> Tensor:
    """The fixed permutation, (positions,) int64."""
    return torch.randperm(positions, generator=torch.Generator().manual_seed(seed))


def shuffle(images: Tensor, order: Tensor) -> Tensor:
    """Move the pixels of (B, C, H, W): position i takes the pixel that was at order[i]."""
    return images.flatten(2)[:, :, order].view_as(images)


def build(decoder: Decoder, channels: int, mean: Tensor, std: Tensor) -> Normalized:
    """A fresh network; variants of a seed share every initial weight they both have."""
    shape = (decoder.width, decoder.depth, decoder.kernel, decoder.patch, channels)
    check_size(decoder.name, partial(Projector, *shape))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(decoder.seed)
        net = Projector(*shape)
    set_mixing(net, parse_spatial(decoder.spatial), decoder.channel)
    return Normalized(net, mean.clone(), std.clone())


def unshuffle(
    decoder: Decoder,
    dataset: Dataset,
    recipe: Recipe,
    results: Path,
    device: torch.device,
    *,
    train_examples: int | None = None,
    examples: int = 1000,
) -> Path:
    """Train the network, decode the test images and write the records; their path.

    A finished run of the same settings is left as it is. Raises RbmixError if the patch
    does not divide the image.
    """
    height, width = dataset.train.images.shape[2:]
    if height % decoder.patch or width % decoder.patch:
        raise RbmixError(f"patch {decoder.patch} does not divide images of {height} x {width}")
    train_split, split, path = place(decoder, dataset, recipe, results, train_examples, examples)
    with alone(path):
        if path.exists():
            say(f"already un-shuffled, see {path}")
        else:
            _solve(decoder, dataset, recipe, train_split, split, path, device)
        forget(path)
    return path


def _solve(
    decoder: Decoder,
    dataset: Dataset,
    recipe: Recipe,
    train_split: Split,
    split: Split,
    path: Path,
    device: torch.device,
) -> None:
    """Train the network, from where a killed training stopped, and decode the test images."""
    height, width = dataset.train.images.shape[2:]
    for line in warnings(decoder, height, width):
        say(f"warning: {line}")
    with training_threads(device):
        made_with = conditions(device)
    unfinished = Unfinished(path, made_with)
    order = permutation(height * width, decoder.seed)
    model = build(decoder, dataset.channels, *dataset.statistics())
    images = train_split.images.to(device)

    def loss_of(rows: Tensor, _: torch.Generator, autocast: torch.autocast) -> Loss:
        x = images[rows].float().div_(train_split.levels)
        given = shuffle(x, order.to(device)).contiguous(memory_format=torch.channels_last)
        with autocast:
            made = model(given)
        loss = F.mse_loss(made.float(), x)
        return loss, lambda: f"PSNR {-10 * math.log10(max(loss.item(), 1e-10)):.2f} dB"

    words = f"un-shuffling, {decoder.name}, spatial {decoder.spatial}"
    with training_threads(device):
        seconds = fit(model, len(images), recipe, decoder.seed, device, loss_of, words, unfinished)
        started = time.perf_counter()
        with doing(f"decoding {len(split):,} test images"):
            table = _decode(model, split, order, device)
    header = {
        "model": decoder.name,
        **asdict(decoder),
        "dataset": dataset.name,
        "image": [dataset.channels, height, width],
        "levels": split.levels,
        "n": len(split),
        "train_examples": len(train_split),
        "epochs": recipe.epochs,
        "recipe": as_json(recipe),
        "data_hash": split.hash,
        "reach": decoder.reach,
        **made_with,
    }
    seconds += time.perf_counter() - started
    tables.write(path, header, table, {"date": provenance.today(), "time_seconds": seconds})


def place(
    decoder: Decoder,
    dataset: Dataset,
    recipe: Recipe,
    results: Path,
    train_examples: int | None,
    examples: int,
) -> tuple[Split, Split, Path]:
    """The images to train on and to decode, and where the records of these settings belong."""
    train_split = balanced(dataset.train, train_examples) if train_examples else dataset.train
    split = balanced(dataset.test, examples)
    key = short_hash([asdict(decoder), as_json(recipe), train_split.hash, split.hash])
    path = path_for(results, dataset.name, decoder.name, decoder.spatial, decoder.seed, key)
    return train_split, split, path


@torch.no_grad()
def _decode(model: nn.Module, split: Split, order: Tensor, device: torch.device) -> pd.DataFrame:
    """The squared error of each test image, and the pixels of a few, all classes in turn."""

    def decoded(x: Tensor) -> tuple[Tensor, Tensor]:
        given = shuffle(x, order.to(device)).contiguous(memory_format=torch.channels_last)
        return given, model(given).clamp(0, 1)

    errors: list[float] = []
    for start in range(0, len(split), BATCH):
        x = split.pixels(start, start + BATCH).to(device)
        errors += ((decoded(x)[1] - x) ** 2).flatten(1).mean(1).tolist()
    shown = balanced(split, DECODED)
    x = shown.pixels().to(device)
    columns: dict[str, list[bytes | None]] = {name: [None] * len(split) for name in PICTURES}
    for name, images in zip(PICTURES, (x, *decoded(x)), strict=True):
        for row, image in zip(split.rows_of(shown), images.cpu(), strict=True):
            levels = (255 * image).round().to(torch.uint8)
            columns[name][row] = levels.contiguous().numpy().tobytes()
    return pd.DataFrame({"image": split.index.tolist(), "mse": errors, **columns})
