"""Where to compute: device and precision by name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from robustbench_mix.errors import RbmixError, unknown
from robustbench_mix.runtime import provenance

# Sums over a batch are rounded in another order by another number of threads, and training makes
# much of little: one thread everywhere gives the same weights everywhere. It also trains at full
# speed beside a busy process, where two threads wait for each other at every layer.
TRAINING_THREADS = 1
CPU_BATCH, GPU_BATCH = 128, 2048  # images of 32 x 32 pixels at once


def pick_device(name: str = "auto") -> torch.device:
    """`auto` takes cuda, then mps, then cpu; raises RbmixError if the named one is absent."""
    available = ["cpu"]
    if torch.backends.mps.is_available():
        available.insert(0, "mps")
    if torch.cuda.is_available():
        available.insert(0, "cuda")
    if name == "auto":
        return torch.device(available[0])
    kind, _, number = name.partition(":")
    if kind not in available or (number and not number.isdecimal()):
        raise unknown("device", name, ["auto", *available])
    if number and kind == "cuda" and int(number) >= torch.cuda.device_count():
        raise RbmixError(
            f"device {name!r} does not exist (this machine has {torch.cuda.device_count()} GPUs)"
        )
    return torch.device(name)


def pick_precision(name: str, device: torch.device) -> str:
    """`auto` takes bf16 on GPUs that have it and fp32 elsewhere."""
    if name != "auto":
        return name
    return "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "fp32"


@contextmanager
def training_threads(device: torch.device) -> Iterator[None]:
    """Compute on `TRAINING_THREADS` threads of a CPU within the block, however many there are."""
    before = torch.get_num_threads()
    if device.type == "cpu":
        torch.set_num_threads(TRAINING_THREADS)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def describe(device: torch.device) -> str:
    """A device in words for the record, for example `cpu (threads: 2)`."""
    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    if device.type == "cpu":
        return f"cpu (threads: {torch.get_num_threads()})"
    return device.type


def compute_environment(device: torch.device) -> dict[str, Any]:
    """What numbers that are computed now depend on, besides their inputs; plain JSON values."""
    return {
        "device": describe(device),
        "versions": provenance.versions(),
        "commit": provenance.commit(),
    }


def default_batch_size(size: int, device: torch.device) -> int:
    """How many images of `size` x `size` pixels to attack at once, unless told otherwise.

    Enough to keep the device busy, on a processor not more than its caches hold; the fast
    backend halves it where memory runs out.
    """
    at_32_pixels = CPU_BATCH if device.type == "cpu" else GPU_BATCH
    return min(max(at_32_pixels * 32**2 // size**2, 16), 4 * at_32_pixels)


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether convolutions run faster in bfloat16 than in float32 there."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    if torch.backends.cpu.get_cpu_capability() in ("DEFAULT", "NO AVX", "AVX2"):
        return False  # what PyTorch was told to use, whatever the processor has
    # Instructions for it; PyTorch has no public name for the question.
    asks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, name, lambda: False)()) for name in asks)
