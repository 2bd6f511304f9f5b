"""CUDA graphs for small batches: there the host's launches cost more than the kernels.

A batch is padded to the next power of two, so that few graphs serve the many sizes that
packing leaves. Large batches keep the card busy without.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from robustbench_mix.models.fusion import nearly_equal

MAX_BATCH = 256  # images in a batch that is replayed
TOLERANCE = 0.1  # largest difference, as a share of the largest value: bfloat16 rounds coarsely


class GraphedModel(nn.Module):
    """`net` (B, C, H, W) -> (B, classes), replayed as a CUDA graph with its input gradient.

    Each batch size is captured at its first use. A network that cannot be captured (its
    host waits for the card, say) runs as it is. `capture` is for tests.
    """

    def __init__(
        self, net: nn.Module, capture: Callable[..., Any] = torch.cuda.make_graphed_callables
    ) -> None:
        super().__init__()
        self.net = net
        self.channels_last = getattr(net, "channels_last", False)
        self.capture = capture
        self.graphs: dict[tuple[int, ...], Callable[[Tensor], Tensor]] = {}
        self.works = True

    def forward(self, x: Tensor) -> Tensor:
        size = 1 << (len(x) - 1).bit_length()
        if size > MAX_BATCH or not self.works or not len(x):
            return self.net(x)  # type: ignore[no-any-return]
        padded = torch.cat([x, x[-1:].expand(size - len(x), -1, -1, -1)])
        shape = tuple(padded.shape)
        if shape not in self.graphs:
            try:
                sample = padded.detach().clone().requires_grad_()
                with torch.enable_grad():
                    # A function, because a module would be changed in place.
                    self.graphs[shape] = self.capture(lambda x: self.net(x), (sample,))
            except (RuntimeError, AssertionError):
                self.works = False
                return self.net(x)  # type: ignore[no-any-return]
        if padded.requires_grad:
            # The graph's own memory, like that of the logits: the next replay overwrites it.
            padded.register_hook(torch.clone)  # type: ignore[no-untyped-call]
        return self.graphs[shape](padded)[: len(x)].clone()


def with_cuda_graphs(net: nn.Module, x: Tensor) -> nn.Module:
    """`net` as CUDA graphs if `x` (B, C, H, W) is on a card and both agree there, else `net`."""
    if x.device.type != "cuda":
        return net
    replayed = GraphedModel(net)
    try:
        return replayed if outputs_agree(net, replayed, x) and replayed.works else net
    except RuntimeError:
        return net  # without an input gradient, say: the attack tells


def outputs_agree(net: nn.Module, other: nn.Module, x: Tensor) -> bool:
    """Whether two networks give the same logits and input gradients, on unlike batches in turn."""
    batches = [x, x.flip(0), x[: len(x) // 2 + 1].flip(3)]
    # All of one before the other: what is remembered instead of computed shows.
    expected = [value for batch in batches for value in _logits_and_gradient(net, batch)]
    given = [value for batch in batches for value in _logits_and_gradient(other, batch)]
    return all(nearly_equal(a, b, TOLERANCE) for a, b in zip(expected, given, strict=True))


def _logits_and_gradient(net: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """The logits, and the gradient of their highest."""
    x = x.detach().clone().requires_grad_()
    with torch.enable_grad():
        logits = net(x)
        (gradient,) = torch.autograd.grad(logits.amax(1).sum(), x)
    return logits.detach(), gradient
