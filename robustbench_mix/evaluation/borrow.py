"""Borrow a network: use it as evaluations need it, and give it back as it came."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

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
    buffers = {name: buffer.detach().clone() for name, buffer in model.named_buffers()}
    home = next((p.device for p in model.parameters()), device)
    try:
        with own_random_state(device), ieee_float32():
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
        _restore_buffers(model, buffers)


@torch.no_grad()
def _restore_buffers(model: nn.Module, before: dict[str, Tensor]) -> None:
    """Write back the buffers that a forward pass changed."""
    for name, now in list(model.named_buffers()):
        kept = before.get(name)
        if kept is None or torch.equal(now, kept.to(now.device)):
            continue
        if now.shape == kept.shape:
            now.copy_(kept)
        else:
            owner, _, own = name.rpartition(".")
            setattr(model.get_submodule(owner), own, kept)
