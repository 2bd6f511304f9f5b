"""Time single steps of a network, and two jobs side by side, A B A B."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Step = Callable[[], object]


def time_call(job: Callable[[], Any], device: torch.device) -> tuple[float, Any]:
    """Call a job and time it.

    Returns:
        The wall time in seconds, with the device's queue empty before and after, and the result.
    """
    _wait(device)
    started = time.perf_counter()
    result = job()
    _wait(device)
    return time.perf_counter() - started, result


def time_ratios(
    slow: Callable[[], Any], fast: Callable[[], Any], repeats: int, device: torch.device
) -> tuple[list[float], Any, Any]:
    """Time two jobs in alternation.

    Args:
        slow: The job whose time is the numerator.
        fast: The job whose time is the denominator.
        repeats: Number of repetitions.
        device: The device of the jobs.

    Returns:
        The time of `slow` over the time of `fast`, for each repetition, and the last result of
        each.
    """
    found = []
    first = second = None
    for _ in range(repeats):
        slow_time, first = time_call(slow, device)
        fast_time, second = time_call(fast, device)
        found.append(slow_time / fast_time)
    return found, first, second


def gradient_step(logits: Callable[[Tensor], Tensor], x: Tensor, y: Tensor) -> Step:
    """Return a step that computes logits of x (B, C, H, W) and an input gradient.

    Args:
        logits: The network, (B, C, H, W) -> (B, classes).
        x: Images, (B, C, H, W).
        y: Their labels, (B,) int64.
    """

    def step() -> None:
        point = x.clone().requires_grad_()
        torch.autograd.grad(F.cross_entropy(logits(point), y, reduction="sum"), point)

    return step


def training_step(
    model: nn.Module, x: Tensor, y: Tensor, perturb: Callable[[Tensor], Tensor] | None = None
) -> Step:
    """Return a training step: forward pass, backward pass and update.

    Args:
        model: The network, (B, C, H, W) -> (B, classes).
        x: Images, (B, C, H, W).
        y: Their labels, (B,) int64.
        perturb: Makes what is trained on of x, in every step; None trains on x.
    """
    model.train()
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(parameters, lr=1e-3, momentum=0.9, nesterov=True, fused=True)

    def step() -> None:
        trained_on = x if perturb is None else perturb(x)
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(model(trained_on), y).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
