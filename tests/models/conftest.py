"""Networks of ours, fresh but not trivial."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from robustbench_mix.config.model import ModelSpec
from robustbench_mix.models import factory


@pytest.fixture
def network() -> Callable[[str, int], nn.Module]:
    """Makes a network of a name for RGB images of a size."""
    return make_network


def make_network(name: str, size: int) -> nn.Module:
    """A fresh network in eval mode whose norms do something."""
    model = factory.build(
        ModelSpec(name), factory.Shape(3, size, 10), torch.full((3,), 0.4), torch.full((3,), 0.3)
    )
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight, module.running_var):
                nn.init.uniform_(tensor, 0.5, 2)
            for tensor in (module.bias, module.running_mean):
                nn.init.normal_(tensor, 0, 0.3)
    return model.eval().requires_grad_(False)
