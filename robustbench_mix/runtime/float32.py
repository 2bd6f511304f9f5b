"""Full precision: IEEE float32, whatever lower precision a process has allowed.

By default PyTorch rounds the inputs of float32 convolutions on a GPU to TF32, and
`torch.set_float32_matmul_precision` allows TF32 or bfloat16 for products on GPUs and CPUs. No
decision about an image may depend on such rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

IEEE = "ieee"
FULL = "IEEE float32"


def recorded_precision(device: torch.device) -> str | None:
    """Return the precision of float32 networks in records: None on a CPU, which has always had it.

    On other devices it is written down, because older records without it may be in TF32.
    """
    return None if device.type == "cpu" else FULL


@contextmanager
def ieee_float32() -> Iterator[None]:
    """Compute float32 convolutions and products in IEEE float32 within the block."""
    switches = _switches()
    before = [getattr(owner, name) for owner, name, _ in switches]
    try:
        for owner, name, exact in switches:
            setattr(owner, name, exact)
        yield
    finally:
        for (owner, name, _), value in zip(switches, before, strict=True):
            setattr(owner, name, value)


def _switches() -> list[tuple[Any, str, Any]]:
    """Return the switches: their owner, their name, and their value for IEEE float32."""
    backends: Any = torch.backends
    if not hasattr(backends.cudnn, "conv"):
        return _old_switches()
    owners = [
        backends.cudnn.conv, backends.cuda.matmul, backends.mkldnn.conv, backends.mkldnn.matmul
    ]  # fmt: skip
    return [(owner, "fp32_precision", IEEE) for owner in owners]


def _old_switches() -> list[tuple[Any, str, Any]]:
    """Return the switches before PyTorch 2.9."""
    return [(torch.backends.cudnn, "allow_tf32", False), (_Products(), "precision", "highest")]


class _Products:
    """The precision of matrix products, as an attribute."""

    @property
    def precision(self) -> str:
        return torch.get_float32_matmul_precision()

    @precision.setter
    def precision(self, name: str) -> None:
        torch.set_float32_matmul_precision(name)
