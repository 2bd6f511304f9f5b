"""Handle memory that runs out, on the GPU or on the host."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

from robustbench_mix.errors import RbmixError, first_line, is_out_of_memory

logger = logging.getLogger(__name__)

T = TypeVar("T")


def retry_with_smaller_batches(
    work: Callable[[int, list[T]], None], batch: list[T], batch_size: int
) -> int:
    """Call `work(batch_size, batch)`, and halve both whenever memory runs out.

    Args:
        work: Processes a batch; it is called again with a part of it after it ran out of memory.
        batch: The items of the whole batch.
        batch_size: Number of items that `work` may process at once.

    Returns:
        The batch size that fitted; `work` has processed that many items of the batch.

    Raises:
        RbmixError: One item alone does not fit.
    """
    while True:
        try:
            work(batch_size, batch)
            return batch_size
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            message = first_line(error)
        # Not in the handler, where the error keeps the allocated memory alive.
        if batch_size == 1:
            raise RbmixError(f"out of memory with a batch of one image ({message})")
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        batch_size = (batch_size + 1) // 2
        batch = batch[:batch_size]
        logger.info(f"out of memory: continuing with batches of {batch_size}")


def total_memory_bytes() -> int | None:
    """Return the size of this machine's memory in bytes, None if the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


@contextmanager
def report_out_of_memory(activity: str) -> Iterator[None]:
    """Raise RbmixError if memory runs out within the block.

    Args:
        activity: The work of the block, for the message `out of memory ACTIVITY`.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise RbmixError(f"out of memory {activity}") from error
