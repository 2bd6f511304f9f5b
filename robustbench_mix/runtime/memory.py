"""What to do when memory runs out, on the GPU or on the host."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

from robustbench_mix.errors import RbmixError, is_out_of_memory

logger = logging.getLogger(__name__)

T = TypeVar("T")


def retry_with_smaller_batches(
    work: Callable[[int, list[T]], None], batch: list[T], batch_size: int
) -> int:
    """Do `work(batch_size, batch)` on as much as fits into memory; the batch size that did.

    Starts with all of it and halves both after running out of memory. What does not fit one
    image at a time is raised as RbmixError.
    """
    while True:
        try:
            work(batch_size, batch)
            return batch_size
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            said = str(error).partition("\n")[0][:120]
        # Outside the handler, where the error still holds on to what was allocated.
        if batch_size == 1:
            raise RbmixError(f"out of memory with a batch of one image ({said})")
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        batch_size = (batch_size + 1) // 2
        batch = batch[:batch_size]
        logger.info(f"out of memory: going on with batches of {batch_size}")


def total_memory_bytes() -> int | None:
    """Bytes of this machine's memory, None where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


@contextmanager
def report_out_of_memory(activity: str) -> Iterator[None]:
    """Running out of memory within the block is an RbmixError that says while `doing` what."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise RbmixError(f"out of memory {activity}") from error
