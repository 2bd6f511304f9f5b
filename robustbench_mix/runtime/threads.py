"""Choose the number of CPU threads by timing a step.

Threads wait for each other at every layer. If another process keeps one of the cores busy, two
threads on two cores can be several times slower than one thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Protocol

import torch
from torch import Tensor, nn

INTERVAL_SECONDS = 20.0  # shortest time between two choices
MAX_TIME_SHARE = 0.02  # largest share of the time that choosing may take
REPEATS = 3
MAX_IMAGES = 16  # largest number of images of a timed step


class ThreadTuner:
    """Set the number of threads with which a step is fastest, and time it again at intervals.

    Args:
        step: The step to time, given images (B, C, H, W); it must change nothing.
        max_threads: The largest number of threads; 1 leaves nothing to choose.
        clock: Returns seconds, as `time.perf_counter`.
    """

    def __init__(
        self,
        step: Callable[[Tensor], object],
        max_threads: int,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.step = step
        self.counts = thread_counts(max_threads)
        self.clock = clock
        self.due = clock()

    def __call__(self, x: Tensor) -> None:
        """Choose again if it is time, with a few of the images `x`, (B, C, H, W) on a CPU."""
        if len(self.counts) == 1 or x.device.type != "cpu" or self.clock() < self.due:
            return
        started = self.clock()
        seconds = {count: self._seconds(count, x[:MAX_IMAGES].detach()) for count in self.counts}
        torch.set_num_threads(min(self.counts, key=seconds.__getitem__))
        spent = self.clock() - started
        self.due = self.clock() + max(INTERVAL_SECONDS, spent / MAX_TIME_SHARE)

    def _seconds(self, count: int, x: Tensor) -> float:
        torch.set_num_threads(count)
        self.step(x)  # starts new threads, which is not timed
        started = self.clock()
        for _ in range(REPEATS):
            self.step(x)
        return self.clock() - started


def thread_counts(max_threads: int) -> list[int]:
    """Return the numbers of threads to try: `max_threads`, halved down to 1."""
    counts = [max(max_threads, 1)]
    while counts[-1] > 1:
        counts.append(counts[-1] // 2)
    return counts


class HookedModel(Protocol):
    """A model that calls `before_pass` with the images of each forward pass."""

    net: nn.Module
    before_pass: Callable[[Tensor], None] | None


@contextmanager
def tune_threads(*targets: HookedModel) -> Iterator[None]:
    """Choose the number of threads while models are attacked within the block.

    At most the current number of threads is tried; it is restored afterwards.
    """
    before = torch.get_num_threads()
    for target in targets:
        target.before_pass = ThreadTuner(partial(_gradient_step, target), before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        for target in targets:
            target.before_pass = None


def _gradient_step(target: HookedModel, x: Tensor) -> None:
    """Run a forward pass, and compute the input gradient if there is one."""
    point = x.clone(memory_format=torch.channels_last).requires_grad_()
    # The random state is restored afterwards; the attack itself reports an error of the model.
    with torch.random.fork_rng(devices=[]), torch.enable_grad(), suppress(Exception):
        logits = target.net(point)
        if logits.requires_grad:
            torch.autograd.grad(logits.sum(), point)
