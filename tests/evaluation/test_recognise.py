"""A network that only looks like the one of the records is another network."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from robustbench_mix.evaluation.recognise import has_margins

CPU = torch.device("cpu")


class Scaled(nn.Module):
    """A network with a temperature that is no weight."""

    def __init__(self, net: nn.Module, temperature: float) -> None:
        super().__init__()
        self.net = net
        self.temperature = temperature

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x) / self.temperature


@pytest.mark.parametrize(("temperature", "same"), [(1.0, True), (1.0001, True), (0.5, False)])
def test_a_network_is_known_by_its_margins(
    linear_case: Callable, temperature: float, same: bool
) -> None:
    """Whatever its weights say; rounding changes nothing."""
    model, split = linear_case(4)
    ordered = model(split.pixels()).sort(1).values
    margins = (ordered[:, -1] - ordered[:, -2]).tolist()
    assert has_margins(Scaled(model, temperature), split, CPU, margins) == same


def test_nan_is_not_recognised(linear_case: Callable) -> None:
    """A margin that is missing says nothing."""
    model, split = linear_case(4)
    assert not has_margins(model, split, CPU, [float("nan")] * len(split))
