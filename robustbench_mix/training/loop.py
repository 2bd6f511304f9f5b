"""One training loop for every network and loss, deterministic in the seed on one machine.

The order of the images and all other random draws depend on (seed, epoch) alone, so the members of
a pair see the same pixels in the same order.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from robustbench_mix.config.training import Recipe
from robustbench_mix.errors import RbmixError
from robustbench_mix.runtime.memory import report_out_of_memory
from robustbench_mix.runtime.progress import progress_bar
from robustbench_mix.training.averaging import Weights, copy_weights, update_average
from robustbench_mix.training.resume import ResumeState

# The loss of a batch, and a function that describes it for the progress display.
BatchLoss = tuple[Tensor, Callable[[], str]]
BatchLossFunction = Callable[[Tensor, torch.Generator, torch.autocast], BatchLoss]


@dataclass(frozen=True)
class Fit:
    """What a training leaves besides the network.

    Args:
        time_seconds: Its duration, with the time before it was killed.
        last_weights: The weights after the last step, if the network has averaged ones.
    """

    time_seconds: float
    last_weights: Weights | None = None


def fit(
    model: nn.Module,
    count: int,
    recipe: Recipe,
    seed: int,
    device: torch.device,
    loss_of: BatchLossFunction,
    description: str = "training",
    resume_state: ResumeState | None = None,
) -> Fit:
    """Train `model` in place on `device`; it stays there, in eval mode.

    Parameters with `requires_grad=False` do not change: no gradient, no weight decay. If the recipe
    averages, the network ends with the averaged weights; the steps are the same without.

    Args:
        model: The network.
        count: Number of training images.
        recipe: The recipe of the training.
        seed: Seed of the order of images and of all other random draws.
        device: The device to train on.
        loss_of: Computes the loss of a batch from the positions of its images, (B,) int64 in
            0..count - 1, the generator for random draws, and the autocast for the forward pass.
        description: Text of the progress bar.
        resume_state: The state from which a killed training continues, from its last epoch to the
            same weights; None starts anew and saves no state.

    Returns:
        The duration of the training, and its last weights where they were averaged.

    Raises:
        RbmixError: The loss stops being finite, or memory runs out.
    """
    started = time.perf_counter()
    model.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    steps = recipe.epochs * math.ceil(count / recipe.batch_size)
    optimizer = _optimizer(model, recipe)
    average = None if recipe.averaging is None else copy_weights(model)
    done, seconds = 0, 0.0
    if resume_state is not None:
        done, seconds = resume_state.restore(model, optimizer, device, recipe.epochs, average)
    started -= seconds
    step = done * math.ceil(count / recipe.batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: learning_rate_factor(step, steps, recipe.warmup),
        last_epoch=step - 1,
    )
    autocast = torch.autocast(device.type, dtype=torch.bfloat16, enabled=recipe.precision == "bf16")
    words = f"in training with batches of {recipe.batch_size} images"
    with progress_bar(description, steps, step) as update, report_out_of_memory(words):
        for epoch in range(done, recipe.epochs):
            generator = torch.Generator().manual_seed(seed * 100_003 + epoch)
            order = torch.randperm(count, generator=generator).to(device)
            for rows in order.split(recipe.batch_size):  # type: ignore[no-untyped-call]
                loss, note = loss_of(rows, generator, autocast)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
                step += 1
                if average is not None and recipe.averaging is not None:
                    update_average(average, model, recipe.averaging, step)
                if step % 10 == 0 or step == steps:
                    value = loss.item()
                    if not math.isfinite(value):
                        raise RbmixError(
                            f"the training loss became {value} in epoch {epoch + 1} "
                            f"(lr {recipe.lr}); try a smaller --lr"
                        )
                    update(step, note())
            if resume_state is not None and epoch + 1 < recipe.epochs:
                seconds = time.perf_counter() - started
                resume_state.save(model, optimizer, epoch + 1, seconds, average)
    last = None if average is None else copy_weights(model)
    if average is not None:
        model.load_state_dict(average)
    model.eval()
    return Fit(time.perf_counter() - started, last)


def learning_rate_factor(step: int, steps: int, warmup: float) -> float:
    """Return the learning rate as a share of its peak: a linear rise, then a cosine to 0.

    Args:
        step: The number of the step, from 0.
        steps: Number of steps of the training.
        warmup: The share of the steps in which the rate rises.
    """
    rise = max(1, round(warmup * steps))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def _optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    parameters = [p for p in model.parameters() if p.requires_grad]
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(
            parameters, lr=recipe.lr, weight_decay=recipe.weight_decay, fused=True
        )
    return torch.optim.SGD(
        parameters,
        lr=recipe.lr,
        momentum=0.9,
        nesterov=True,
        weight_decay=recipe.weight_decay,
        fused=True,
    )
