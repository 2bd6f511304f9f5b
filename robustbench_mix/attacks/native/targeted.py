"""Run a targeted attack towards all runner-up classes of an image at once."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from robustbench_mix.attacks.base import Batch
from robustbench_mix.attacks.counted_model import CountedModel
from robustbench_mix.attacks.random import derive

# A model, a batch, and target classes (B,) to perturbed images like `batch.x`.
TargetedAttack = Callable[[CountedModel, Batch, Tensor], Tensor]


def split_rows(rows: Tensor, capacity: int, copies: int) -> list[Tensor]:
    """Split the rows of a batch so that so many copies of each fit.

    Args:
        rows: The rows, (B,) int64.
        capacity: Number of images that a model takes at once.
        copies: Number of copies of each image.
    """
    parts = math.ceil(len(rows) * copies / max(capacity, copies))
    return list(rows.tensor_split(max(parts, 1)))


def attack_runners_up(
    model: CountedModel, batch: Batch, *, attack: TargetedAttack, targets: int
) -> Tensor:
    """Attack each image towards its likeliest other classes, with a copy of the image for each.

    The batch stays full. The outcome of an image does not depend on the others: its copies are
    attacked independently, and the first that breaks it decides. If several do at once, the
    likelier class counts.

    Args:
        model: The model.
        batch: The images.
        attack: The targeted attack; it returns the image itself where it found nothing.
        targets: Number of target classes.
    """
    x, radius = batch.x, batch.radius
    with torch.no_grad():
        ranking = model(x).argsort(dim=1, descending=True)
    found = x.clone()
    everybody = torch.arange(len(x), device=x.device)
    ranks = torch.arange(1, targets + 1, device=x.device)
    for rows in split_rows(everybody, model.capacity, targets):
        row, rank = rows.repeat_interleave(targets), ranks.repeat(len(rows))
        copies = Batch(
            x[row], batch.y[row], radius[row], derive(batch.seeds[row], rank), batch.norm
        )
        moved = attack(model.take(row), copies, ranking[row, rank])
        hit = (moved != x[row]).flatten(1).any(1).view(len(rows), targets)
        first = moved.view(len(rows), targets, *x.shape[1:])[
            torch.arange(len(rows), device=x.device), hit.int().argmax(1)
        ]
        found[rows] = torch.where(hit.any(1)[:, None, None, None], first, x[rows])
    return found
