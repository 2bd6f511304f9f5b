"""Borrow a network: use it as evaluations need it, and give it back as it came."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from robustbench_mix.models.buffers import keep_buffers
from robustbench_mix.runtime.float32 import ieee_float32
from robustbench_mix.runtime.random_state import own_random_state


@contextmanager
def borrow(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Put the model in eval mode on `device`, without parameter gradients, in IEEE float32.

    Modes, gradient flags, buffers, device and random state are restored afterwards, also after an
    error. Within the block, a network draws the same random numbers in every run.
    """
    modes = [(module, module.training) for module in model.modules()]
    flags = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    home = next((p.device for p in model.parameters()), device)
    try:
        with keep_buffers(model), own_random_state(device), ieee_float32():
            model.to(device).eval()
            for parameter, _ in flags:
                parameter.requires_grad_(False)
            yield
    finally:
        model.to(home)
        for module, training in modes:
            module.training = training
        for parameter, flag in flags:
            parameter.requires_grad_(flag)
