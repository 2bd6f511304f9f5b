"""Pixel un-shuffling: a ConvMixer undoes one fixed permutation of the pixel positions.

The permutation is the same for every image. The loss is the mean squared error between the image
and the network's output for its shuffled form; the measure is the PSNR on test images. The paper
states neither recipe nor peak nor clipping. We use AdamW as for its classifiers, without shifts and
mirrors, a peak of 1, and outputs clipped to [0, 1].

Source: arXiv 2503.16760, section 6.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from robustbench_mix.config.model import Unshuffler, parse_spatial
from robustbench_mix.config.training import Recipe, recipe_for
from robustbench_mix.data.dataset import Split
from robustbench_mix.models.convmixer import ConvMixer
from robustbench_mix.models.factory import check_parameter_count
from robustbench_mix.models.mixers import set_mixers
from robustbench_mix.models.normalize import Normalized
from robustbench_mix.training.loop import BatchLoss, fit
from robustbench_mix.training.resume import ResumeState


class UnshufflingConvMixer(ConvMixer):
    """ConvMixer with a linear projection at every position instead of pooling and classifier.

    Shapes: (B, C, H, W) -> (B, C, H, W); H and W are multiples of the patch.
    """

    def __init__(self, width: int, depth: int, kernel: int, patch: int, channels: int) -> None:
        super().__init__(width, depth, kernel, patch, channels * patch**2, channels)
        self.patch = patch

    def forward(self, x: Tensor) -> Tensor:
        y = self.blocks(self.embedding(x)).permute(0, 2, 3, 1)
        return F.pixel_shuffle(self.head(y).permute(0, 3, 1, 2), self.patch)


def unshuffling_recipe(dataset: str) -> Recipe:
    """Return the recipe of the classifiers, but without shifts and mirrors, which move pixels."""
    return replace(recipe_for("convmixer", dataset), pad=0, flip=False)


def describe_limits(unshuffler: Unshuffler, height: int, width: int) -> list[str]:
    """Return a line for each reason why a network cannot do well, or differs from the paper's.

    Args:
        unshuffler: The network.
        height: Height of the images in pixels.
        width: Width of the images in pixels.
    """
    lines = []
    needed = max(height, width) - 1
    if unshuffler.reach < needed:
        lines.append(
            f"{unshuffler.name} reaches {unshuffler.reach} pixels, an image of {height} x {width} "
            f"needs {needed}: some pixels come from where it cannot see"
        )
    if unshuffler.patch != 1:
        lines.append(
            f"{unshuffler.name}: patch {unshuffler.patch} mixes positions; the paper has 1"
        )
    return lines


def permutation(positions: int, seed: int) -> Tensor:
    """Return the fixed permutation of a seed, (positions,) int64."""
    return torch.randperm(positions, generator=torch.Generator().manual_seed(seed))


def shuffle(images: Tensor, order: Tensor) -> Tensor:
    """Move the pixels of (B, C, H, W): position i takes the pixel that was at order[i]."""
    return images.flatten(2)[:, :, order].view_as(images)


def build(unshuffler: Unshuffler, channels: int, mean: Tensor, std: Tensor) -> Normalized:
    """Build an untrained network; variants of a seed share the initial weights they both have.

    Args:
        unshuffler: The settings of the network.
        channels: Number of colour channels.
        mean: Mean of the pixels per channel, (C,).
        std: Standard deviation of the pixels per channel, (C,).
    """
    shape = (unshuffler.width, unshuffler.depth, unshuffler.kernel, unshuffler.patch, channels)
    check_parameter_count(unshuffler.name, partial(UnshufflingConvMixer, *shape))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(unshuffler.seed)
        net = UnshufflingConvMixer(*shape)
    set_mixers(net, parse_spatial(unshuffler.spatial), unshuffler.channel)
    return Normalized(net, mean.clone(), std.clone())


def train(
    model: Normalized,
    unshuffler: Unshuffler,
    recipe: Recipe,
    split: Split,
    order: Tensor,
    device: torch.device,
    resume_state: ResumeState,
) -> float:
    """Train a network to undo a permutation.

    Args:
        model: The network, (B, C, H, W) -> (B, C, H, W).
        unshuffler: Its settings.
        recipe: The recipe of the training.
        split: The images to train on.
        order: The permutation, (H * W,) int64.
        device: The device to train on.
        resume_state: The state from which a killed training continues.

    Returns:
        The seconds that the training took.
    """
    images = split.images.to(device)

    def loss_of(rows: Tensor, _: torch.Generator, autocast: torch.autocast) -> BatchLoss:
        x = images[rows].float().div_(split.grey_levels)
        given = shuffle(x, order.to(device)).contiguous(memory_format=torch.channels_last)
        with autocast:
            made = model(given)
        loss = F.mse_loss(made.float(), x)
        return loss, lambda: f"PSNR {-10 * math.log10(max(loss.item(), 1e-10)):.2f} dB"

    words = f"un-shuffling, {unshuffler.name}, spatial {unshuffler.spatial}"
    seed = unshuffler.seed
    done = fit(model, len(images), recipe, seed, device, loss_of, words, resume_state)
    return done.time_seconds
