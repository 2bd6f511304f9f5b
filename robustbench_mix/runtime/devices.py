"""Choose device, precision, threads and batch size, and describe them for the records."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from robustbench_mix.errors import RbmixError, unknown
from robustbench_mix.runtime import provenance

# Another number of threads rounds the sums over a batch in another order, and training amplifies
# the difference. One thread gives the same weights on every machine. It is also as fast beside a
# busy process, while two threads would wait for each other at every layer.
TRAINING_THREADS = 1
# What is missing on a machine without a device of this kind.
MISSING = {
    "cuda": "PyTorch finds no NVIDIA GPU with CUDA on this machine",
    "mps": "PyTorch finds no Apple GPU (Metal) on this machine",
}
CPU_BATCH, GPU_BATCH = 128, 2048  # number of images of 32 x 32 pixels at once


def pick_device(name: str = "auto") -> torch.device:
    """Return the device of this name.

    Args:
        name: `cpu`, `mps`, `cuda` or `cuda:N`; `auto` takes cuda, then mps, then cpu.

    Raises:
        RbmixError: This machine has no such device.
    """
    available = ["cpu"]
    if torch.backends.mps.is_available():
        available.insert(0, "mps")
    if torch.cuda.is_available():
        available.insert(0, "cuda")
    if name == "auto":
        return torch.device(available[0])
    kind, _, number = name.partition(":")
    if kind in MISSING and kind not in available:
        raise RbmixError(
            f"device {name!r}: {MISSING[kind]} (available: auto, {', '.join(available)})"
        )
    if kind not in available or (number and not number.isdecimal()):
        raise unknown("device", name, ["auto", *available])
    if number and kind == "cuda" and int(number) >= torch.cuda.device_count():
        raise RbmixError(
            f"device {name!r} does not exist (this machine has {torch.cuda.device_count()} GPUs)"
        )
    return torch.device(name)


def pick_precision(name: str, device: torch.device) -> str:
    """Return the precision of training: `auto` is bf16 on a GPU that has it, fp32 elsewhere."""
    if name != "auto":
        return name
    return "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "fp32"


@contextmanager
def training_threads(device: torch.device) -> Iterator[None]:
    """Compute on `TRAINING_THREADS` threads of a CPU within the block."""
    before = torch.get_num_threads()
    if device.type == "cpu":
        torch.set_num_threads(TRAINING_THREADS)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def describe(device: torch.device) -> str:
    """Return a device in words for the records, for example `cpu (threads: 2)`."""
    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    if device.type == "cpu":
        return f"cpu (threads: {torch.get_num_threads()})"
    return device.type


def compute_environment(device: torch.device) -> dict[str, Any]:
    """Return device, versions and commit, on which results depend, as plain JSON values."""
    return {
        "device": describe(device),
        "versions": provenance.versions(),
        "commit": provenance.commit(),
    }


def default_batch_size(size: int, device: torch.device) -> int:
    """Return how many images of `size` x `size` pixels to attack at once by default.

    The number keeps a GPU busy and fits into the caches of a CPU. The fast backend halves it if
    memory runs out.
    """
    at_32_pixels = CPU_BATCH if device.type == "cpu" else GPU_BATCH
    return min(max(at_32_pixels * 32**2 // size**2, 16), 4 * at_32_pixels)


def has_fast_bfloat16(device: torch.device) -> bool:
    """Return whether convolutions run faster in bfloat16 than in float32 on this device."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    if torch.backends.cpu.get_cpu_capability() in ("DEFAULT", "NO AVX", "AVX2"):
        return False  # PyTorch is limited to these instructions, whatever the processor has
    # PyTorch has no public function that tells whether the processor has such instructions.
    asks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, name, lambda: False)()) for name in asks)
