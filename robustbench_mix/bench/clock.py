"""Two jobs timed side by side: A B A B, and the ratio of each pair."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch


def seconds(job: Callable[[], Any], device: torch.device) -> tuple[float, Any]:
    """Wall time of a job, with the device's queue empty before and after, and its result."""
    _wait(device)
    started = time.perf_counter()
    result = job()
    _wait(device)
    return time.perf_counter() - started, result


def ratios(
    slow: Callable[[], Any], fast: Callable[[], Any], repeats: int, device: torch.device
) -> tuple[list[float], Any, Any]:
    """Time of `slow` over time of `fast`, in alternation, and the last result of each."""
    found = []
    first = second = None
    for _ in range(repeats):
        slow_time, first = seconds(slow, device)
        fast_time, second = seconds(fast, device)
        found.append(slow_time / fast_time)
    return found, first, second


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
