"""Benchmark adversarial training: N-FGSM against PGD, averaged weights against the last ones."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from robustbench_mix.benchmarks.steps import build_untrained, random_images
from robustbench_mix.benchmarks.table import Row
from robustbench_mix.config.training import Adversarial, NFgsm
from robustbench_mix.results.records import Run
from robustbench_mix.runtime.timing import Step, time_ratios, training_step
from robustbench_mix.training.perturb import perturb


def step_row(name: str, size: int, batch: int, device: torch.device, repeats: int) -> Row:
    """Compare a training step on N-FGSM examples with one on PGD examples, examples included.

    Args:
        name: Name of the model.
        size: Side of the images in pixels.
        batch: Number of images.
        device: The device to run on.
        repeats: Number of repetitions.
    """
    fast, slow = (
        _adversarial_step(name, size, batch, device, how)
        for how in (NFgsm("8/255"), Adversarial("8/255"))
    )
    fast(), slow()
    found, _, _ = time_ratios(fast, slow, repeats, device)
    work = f"training step on N-FGSM examples, {name}, batch {batch}"
    return Row(work, "on PGD examples, 7 steps", "≤ 1/3x", found)


def _adversarial_step(
    name: str, size: int, batch: int, device: torch.device, how: Adversarial | NFgsm
) -> Step:
    model = build_untrained(name, size).to(device)
    x, y = random_images(batch, size, device)
    generator = torch.Generator().manual_seed(0)
    autocast = torch.autocast(device.type, dtype=torch.bfloat16, enabled=False)

    def examples(clean: Tensor) -> Tensor:
        return perturb(model, clean, y, how, generator, autocast)

    return training_step(model, x.contiguous(memory_format=torch.channels_last), y, examples)


def accuracy_row(words: str, averaged: Sequence[Run], last: Sequence[Run], eps: str) -> Row:
    """Compare the accuracy under AutoAttack of averaged weights with that of the last weights.

    Args:
        words: The networks in words, for the table.
        averaged: The runs of networks with averaged weights, one for each seed.
        last: Those of the same networks with the weights of their last steps.
        eps: The epsilon, one of the grid.
    """
    ours, theirs = ([_accuracy(run, eps) for run in runs] for runs in (averaged, last))
    count = len(averaged[0].table)
    note = f"{count} images; last weights {'/'.join(f'{one:.1f}' for one in theirs)}"
    work = f"accuracy under AutoAttack at {eps}, {words}, averaged weights"
    return Row(work, "the last weights", "above them", ours, note, unit=" %")


def _accuracy(run: Run, eps: str) -> float:
    """Return the accuracy of a run within an epsilon, in %."""
    return 100 * float(run.standing()[eps].mean())
