"""Shared parts of both engines: their settings, the clean state, counting passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from robustbench_mix.attacks.counted_model import CountedModel
from robustbench_mix.attacks.passes import PassCounter
from robustbench_mix.attacks.streams import stream
from robustbench_mix.attacks.voting import draw_logits, majority_label, mean_margins
from robustbench_mix.data.dataset import Split
from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation.borrow import borrow
from robustbench_mix.evaluation.state import State
from robustbench_mix.runtime.memory import retry_with_smaller_batches
from robustbench_mix.runtime.progress import progress_bar

Save = Callable[[State], None]


@dataclass(frozen=True)
class Settings:
    """Settings of a run on either engine, beside model, images, protocol and stages.

    Args:
        seed: Seed of the run; every image's random numbers follow from it.
        device: The device to compute on.
        batch_size: Maximum number of images to attack at once.
        save: Called with the state after each batch.
        description: Text of the progress bar.
        found: A tensor to fill with the adversarial example of each broken image at its smallest
            epsilon, (n, C, H, W); it holds the images before.
    """

    seed: int
    device: torch.device
    batch_size: int
    save: Save | None = None
    description: str = "attacking"
    found: Tensor | None = None


def sample(split: Split, device: torch.device) -> Tensor:
    """Return a few images to try a network on, (at most 8, C, H, W)."""
    return split.pixels(0, 8).to(device)


def classes_of(model: nn.Module, split: Split, device: torch.device) -> int:
    """Return the number of logits of the model."""
    with borrow(model, device), torch.no_grad():
        return int(CountedModel(model)(sample(split, device)).shape[1])


def check_classes(classes: int, split: Split) -> None:
    """Raise RbmixError if the network has fewer classes than there are labels."""
    largest = int(split.labels.max())
    if classes <= largest:
        hint = ""
        if classes == 1 and largest == 1:
            hint = "; torch.cat([-z, z], 1) makes two logits of one"
        raise RbmixError(
            f"the model has {classes} classes, but the data set has labels up to {largest}{hint}"
        )


@torch.no_grad()
def clean_state(
    judge: CountedModel, split: Split, settings: Settings, levels: int, *, draws: int = 1
) -> State:
    """Return the state before any attack: clean predictions and margins.

    Args:
        judge: The model.
        split: The images.
        settings: Seed, device and batch size.
        levels: Number of epsilons.
        draws: Number of forward passes behind each decision; margins are means over them.
    """
    prediction: list[int] = []
    margin: list[float] = []
    device, batch_size = settings.device, settings.batch_size

    def work(_: int, rows: list[int]) -> None:
        chosen = split.take(torch.tensor(rows))
        torch.manual_seed(stream(settings.seed, "clean", *chosen.index.tolist()))
        logits = draw_logits(judge, chosen.pixels().to(device), draws)
        check_classes(logits.shape[2], split)
        y = chosen.labels.to(device)
        prediction.extend(majority_label(logits, y).tolist())
        margin.extend(mean_margins(logits, y).tolist())

    with progress_bar(f"classifying {len(split)} images", len(split)) as update:
        while rows := list(range(len(prediction), len(split)))[:batch_size]:
            batch_size = retry_with_smaller_batches(work, rows, batch_size)
            update(len(prediction))
    correct = [p == t for p, t in zip(prediction, split.labels.tolist(), strict=True)]
    n = len(split)
    return State(
        prediction=prediction,
        margin=margin,
        correct=correct,
        level=[levels] * n,
        component=[""] * n,
        norm=[float("nan")] * n,
        stage=[0] * n,
        failed=[-1] * n,
        check=[-1] * n,
        check_stage=[0] * n,
        checked=[""] * n,
        cheap=[-1] * n,
        reached=[1.0] * n,
        stratum=[-1] * n,
        sampled=[False] * n,
        forward=[None] * n,
        gradient=[None] * n,
        batch_size=batch_size,
    )


def add_passes(state: State, stage: str, passes: PassCounter, rows: list[int] | None) -> None:
    """Add passes, those of the judge included, to the count of a stage.

    Args:
        state: Changed in place.
        stage: Name of the stage.
        passes: The passes.
        rows: The images that they were for; None if that is not known.
    """
    spent = state.passes.setdefault(stage, {"forward": 0, "gradient": 0})
    spent["forward"] += passes.forward
    spent["gradient"] += passes.gradient
    if rows is None:
        return
    for kind, counts in zip((state.forward, state.gradient), passes.each.tolist(), strict=True):
        for row, count in zip(rows, counts, strict=True):
            kind[row] = (kind[row] or 0) + count
