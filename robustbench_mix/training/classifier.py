"""Train a classifier: cross-entropy on shifted and mirrored images, or on adversarial examples."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from robustbench_mix.config.training import Recipe
from robustbench_mix.data.dataset import Split
from robustbench_mix.runtime.devices import training_threads
from robustbench_mix.runtime.progress import report_if_slow
from robustbench_mix.training.averaging import Weights, borrowed_weights
from robustbench_mix.training.loop import BatchLoss, fit
from robustbench_mix.training.perturb import perturb
from robustbench_mix.training.resume import ResumeState


@dataclass(frozen=True)
class LastWeights:
    """The weights after the last step, and their accuracy on the test split, in [0, 1]."""

    weights: Weights
    test_accuracy: float


@dataclass(frozen=True)
class TrainingOutcome:
    """The result of a training: accuracy on the test split, in [0, 1], and its duration.

    `last` is what the same training gives without averaging; None if it does not average.
    """

    test_accuracy: float
    time_seconds: float
    last: LastWeights | None = None


def train(
    model: nn.Module,
    train_split: Split,
    test_split: Split,
    recipe: Recipe,
    seed: int,
    device: torch.device,
    description: str = "training",
    resume_state: ResumeState | None = None,
) -> TrainingOutcome:
    """Train `model` in place on `device`; it stays there, in eval mode.

    Args:
        model: The network, (B, C, H, W) pixels in [0, 1] -> (B, classes) logits.
        train_split: The images to train on.
        test_split: The images to measure the accuracy on.
        recipe: The recipe of the training.
        seed: Seed of the order of images, augmentation and attacks.
        device: The device to train on.
        description: Text of the progress bar.
        resume_state: The state from which a killed training continues; None starts anew.

    Returns:
        The accuracy on the test images, and the seconds that the training took. If the recipe
        averages, that is the accuracy of the averaged weights, which the network has.

    Raises:
        RbmixError: As `loop.fit`.
    """
    images, labels = train_split.images.to(device), train_split.labels.to(device)

    def loss_of(rows: Tensor, generator: torch.Generator, autocast: torch.autocast) -> BatchLoss:
        x = augment(images[rows], recipe.pad, recipe.flip, generator)
        x = x.float().div_(train_split.grey_levels).to(memory_format=torch.channels_last)
        if recipe.perturbation is not None:
            x = perturb(model, x, labels[rows], recipe.perturbation, generator, autocast)
        with autocast:
            logits = model(x)
        smoothing = recipe.label_smoothing or 0.0
        loss = F.cross_entropy(logits.float(), labels[rows], label_smoothing=smoothing)

        def note() -> str:
            hits = (logits.argmax(1) == labels[rows]).float().mean().item()
            return f"loss {loss.item():.3f}  accuracy {hits:.2f}"

        return loss, note

    with training_threads(device):
        done = fit(model, len(labels), recipe, seed, device, loss_of, description, resume_state)
        with report_if_slow(f"classifying {len(test_split):,} test images"):
            last = None
            if done.last_weights is not None:
                with borrowed_weights(model, done.last_weights):
                    last = LastWeights(done.last_weights, accuracy(model, test_split, device))
            return TrainingOutcome(accuracy(model, test_split, device), done.time_seconds, last)


def augment(images: Tensor, pad: int, flip: bool, generator: torch.Generator) -> Tensor:
    """Shift each image by up to `pad` pixels, with zeros at the border, and mirror half of them.

    Args:
        images: (B, C, H, W), any dtype and device.
        pad: The largest shift, in pixels.
        flip: Whether to mirror.
        generator: Source of the random numbers, on the CPU.

    Returns:
        The images, (B, C, H, W).
    """
    count, _, height, width = images.shape
    shift = torch.randint(0, 2 * pad + 1, (2, count), generator=generator).to(images.device)
    mirrored = torch.rand(count, generator=generator) < 0.5
    rows = shift[0, :, None] + torch.arange(height, device=images.device)
    columns = shift[1, :, None] + torch.arange(width, device=images.device)
    if flip:
        columns = torch.where(mirrored.to(images.device)[:, None], columns.flip(1), columns)
    padded = F.pad(images, (pad, pad, pad, pad))
    batch = torch.arange(count, device=images.device)[:, None, None]
    # Indices on both sides of a slice put the channels last; permute moves them back.
    return padded[batch, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


@torch.no_grad()
def accuracy(model: nn.Module, split: Split, device: torch.device, batch: int = 500) -> float:
    """Return the accuracy, in [0, 1], of a model in its current mode.

    Args:
        model: The network, (B, C, H, W) pixels in [0, 1] -> (B, classes) logits.
        split: The images.
        device: The device of the model.
        batch: Number of images in each forward pass.
    """
    hits = 0
    for start in range(0, len(split), batch):
        x = split.pixels(start, start + batch).to(device, memory_format=torch.channels_last)
        predicted = model(x).argmax(1).cpu()
        hits += int((predicted == split.labels[start : start + batch]).sum())
    return hits / len(split)
