"""A network that is borrowed comes back as it was, also after an error."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import nn

from robustbench_mix.evaluation.borrow import borrow

CPU = torch.device("cpu")


def test_a_model_is_lent_and_comes_back() -> None:
    """In eval mode and without gradients within; modes, flags and random state as before."""
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(), nn.Linear(2, 2))
    model[0].weight.requires_grad_(False)
    model[1].eval()
    state = torch.get_rng_state()
    drawn = []
    for _ in range(2):
        with pytest.raises(KeyError), borrow(model, CPU):
            assert not any(module.training for module in model.modules())
            assert not any(p.requires_grad for p in model.parameters())
            drawn.append(torch.rand(3))
            raise KeyError
        assert [one.training for one in model] == [True, False, True]
        flags = [p.requires_grad for p in model.parameters()]
        assert flags == [False, True, True, True]
    assert torch.equal(*drawn)
    assert torch.equal(torch.get_rng_state(), state)


class Counts(nn.Module):
    """A network that counts its passes, and grows a buffer, in eval mode too."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(2)
        self.register_buffer("passes", torch.zeros((), dtype=torch.int64))
        self.register_buffer("seen", torch.zeros(0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.passes += 1
        self.seen = torch.cat([self.seen, x.detach().flatten()])
        with torch.no_grad():
            self.norm.running_mean += 1
        return self.norm(x)


def test_buffers_come_back() -> None:
    """Statistics, counts, and a buffer that was replaced by a larger one; after an error too."""
    model = Counts().train()
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    mean = model.norm.running_mean
    with pytest.raises(KeyError), borrow(model, CPU):
        model(torch.ones(3, 2))
        assert model.passes == 1
        raise KeyError
    after = dict(model.named_buffers())
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], buffer) for name, buffer in before.items())
    assert model.norm.running_mean is mean
    assert model.training


def test_all_random_states_come_back() -> None:
    """Those of PyTorch, NumPy and Python; within, all draw the same each time."""

    def draw() -> tuple[float, float, float]:
        return float(torch.rand(())), float(np.random.rand()), random.random()

    model = nn.Linear(1, 1)
    states = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    drawn = []
    for _ in range(2):
        with borrow(model, CPU):
            drawn.append(draw())
    assert drawn[0] == drawn[1]
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.random.get_state()[1].tolist() == states[1]
    assert random.getstate() == states[2]
