"""Recognise a network that comes from code, which may differ in more than its weights.

The header of a run knows the class and the weights of a network. A temperature, a function or a
hidden module is in neither.
"""

from __future__ import annotations

import torch
from torch import nn

from robustbench_mix.attacks.counted_model import CountedModel
from robustbench_mix.attacks.losses import margin
from robustbench_mix.data.dataset import Split
from robustbench_mix.evaluation.borrow import borrow
from robustbench_mix.evaluation.harness import sample
from robustbench_mix.models.equality import nearly_equal

SAME = 1e-2  # largest difference of margins, as a share of the largest one


@torch.no_grad()
def has_margins(model: nn.Module, split: Split, device: torch.device, margins: list[float]) -> bool:
    """Return whether a network has these margins on the first images, up to rounding.

    Args:
        model: The network.
        split: The images.
        device: The device to compute on.
        margins: The margin of each image, as in records.
    """
    x = sample(split, device)
    with borrow(model, device):
        now = margin(CountedModel(model)(x), split.labels[: len(x)].to(device))
    return nearly_equal(torch.tensor(margins[: len(x)]), now.cpu(), SAME)
