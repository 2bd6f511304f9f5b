"""How many threads of a CPU to compute on, by what a step takes now.

Threads wait for each other at every layer. Where another process keeps one of the cores busy,
two threads on two cores can be several times slower than one alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

EVERY_SECONDS = 20.0  # between two choices
SHARE = 0.02  # of the time that choosing may take
REPEATS = 3


class ThreadChoice:
    """Set the number of threads that a step is fastest with, and ask again now and then.

    Args:
        step: What is timed; it changes nothing.
        most: The largest number of threads; 1 leaves nothing to choose.
        clock: Seconds that have passed, as `time.perf_counter`.
    """

    def __init__(
        self,
        step: Callable[[], object],
        most: int,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.step = step
        self.counts = candidates(most)
        self.clock = clock
        self.due = clock()

    def __call__(self) -> None:
        """Choose anew if that is due."""
        if len(self.counts) == 1 or self.clock() < self.due:
            return
        started = self.clock()
        seconds = {count: self._seconds(count) for count in self.counts}
        torch.set_num_threads(min(self.counts, key=seconds.__getitem__))
        spent = self.clock() - started
        self.due = self.clock() + max(EVERY_SECONDS, spent / SHARE)

    def _seconds(self, count: int) -> float:
        torch.set_num_threads(count)
        self.step()  # threads that are new start here
        started = self.clock()
        for _ in range(REPEATS):
            self.step()
        return self.clock() - started


def candidates(most: int) -> list[int]:
    """Numbers of threads to try: `most`, halved down to 1."""
    counts = [max(most, 1)]
    while counts[-1] > 1:
        counts.append(counts[-1] // 2)
    return counts


@contextmanager
def chosen_threads(net: nn.Module, x: Tensor) -> Iterator[Callable[[], None]]:
    """Yield a function that chooses the threads when called; as before after the block.

    Only a CPU has a choice, of up to as many threads as were set before.

    Args:
        net: The network that is attacked, (B, C, H, W) -> (B, classes).
        x: A few images on its device, of its dtype.
    """
    before = torch.get_num_threads()
    x = x.repeat_interleave(2, 0).to(memory_format=torch.channels_last)

    def step() -> None:
        point = x.clone().requires_grad_()
        # What a network draws for this is not missing elsewhere.
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            logits = net(point)
            if logits.requires_grad:
                torch.autograd.grad(logits.sum(), point)

    try:
        yield ThreadChoice(step, before if x.device.type == "cpu" else 1)
    finally:
        torch.set_num_threads(before)
