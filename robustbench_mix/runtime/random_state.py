"""The global random states, which a caller's network may draw from."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def own_random_state(device: torch.device) -> Iterator[None]:
    """Draw from generators of fixed seeds within the block: of PyTorch, NumPy and Python."""
    cards = [device] if device.type == "cuda" else []
    before = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=cards):
            torch.manual_seed(0)
            np.random.seed(0)
            random.seed(0)
            yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
