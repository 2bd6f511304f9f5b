"""A data set that is easy to learn, and a small network for it."""

from __future__ import annotations

import torch

from robustbench_mix.config.model import ModelSpec
from robustbench_mix.data.dataset import Split
from robustbench_mix.models import factory


def split(n: int = 30) -> Split:
    """Images whose brightness tells the class."""
    labels = torch.arange(n) % 3
    noise = torch.randint(0, 40, (n, 1, 6, 6), generator=torch.Generator().manual_seed(n))
    images = (labels * 80)[:, None, None, None] + noise
    return Split(images.to(torch.uint8), labels, torch.arange(n), 255)


def fresh(spatial: str = "learned", seed: int = 0) -> factory.Normalized:
    """A small network for `split`."""
    spec = ModelSpec("resnet14_w4", spatial, seed=seed)
    return factory.build(spec, factory.Shape(1, 6, 3), torch.tensor([0.4]), torch.tensor([0.3]))
