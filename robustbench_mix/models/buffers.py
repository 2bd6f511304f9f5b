"""Buffers of a network that a forward pass may change, such as the statistics of norms."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def keep_buffers(net: nn.Module) -> Iterator[None]:
    """Give the network the values and shapes of its buffers back after the block."""
    before = {name: buffer.detach().clone() for name, buffer in net.named_buffers()}
    try:
        yield
    finally:
        with torch.no_grad():
            for name, now in list(net.named_buffers()):
                kept = before.get(name)
                if kept is None or _are_same(now, kept):
                    continue
                if now.shape == kept.shape:
                    now.copy_(kept)
                else:
                    owner, _, own = name.rpartition(".")
                    setattr(net.get_submodule(owner), own, kept)


def _are_same(now: Tensor, kept: Tensor) -> bool:
    """Return whether a buffer is as it was; on the device meta it has a shape alone."""
    if now.is_meta or kept.is_meta:
        return now.shape == kept.shape
    return torch.equal(now, kept.to(now.device))
