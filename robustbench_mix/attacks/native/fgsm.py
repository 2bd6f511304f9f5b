"""FGSM, the paper's only attack (Goodfellow et al., arXiv 1412.6572)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from robustbench_mix.attacks.base import Batch, Stage, constant_passes
from robustbench_mix.attacks.counted_model import CountedModel, gradient_of
from robustbench_mix.attacks.native.geometry import steepest, wide
from robustbench_mix.attacks.passes import Count


def fgsm_stages(classes: int, *, early_stop: bool = True) -> list[Stage]:
    """Return no stage: the fast engine runs FGSM itself, to place an image on the grid.

    Args:
        classes: Number of classes of the model; any will do.
        early_stop: If False, return FGSM as a stage, for an engine that places nothing.
    """
    if early_stop:
        return []
    return [Stage("fgsm", fgsm, passes=constant_passes(Count(1, 1)), counts_per_image=True)]


def fgsm(model: CountedModel, batch: Batch) -> Tensor:
    """Move each image by eps along the direction that raises the cross-entropy fastest."""
    direction = fgsm_direction(model, batch.x, batch.y, batch.norm)
    return batch.x + wide(batch.radius) * direction


def fgsm_direction(model: CountedModel, x: Tensor, y: Tensor, norm: str) -> Tensor:
    """Return the direction of length one that raises the cross-entropy at the images fastest.

    Args:
        model: The model.
        x: Images, (B, C, H, W).
        y: Their labels, (B,) int64.
        norm: The norm in which the direction has length one.
    """
    with torch.enable_grad():
        point = x.detach().clone().requires_grad_()
        loss = F.cross_entropy(model(point), y, reduction="sum")
        gradient = gradient_of(loss, point)
    return steepest(gradient, norm)
