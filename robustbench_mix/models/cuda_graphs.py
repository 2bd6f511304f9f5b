"""CUDA graphs for small batches, for which launching kernels takes longer than running them.

A batch is padded to the next power of two, so that few graphs serve the many sizes of batches
that images leave early. Large batches keep the GPU busy without graphs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from robustbench_mix.models.equality import COARSE_TOLERANCE, outputs_agree

MAX_BATCH = 256  # maximum number of images in a batch that a graph serves


class GraphedModel(nn.Module):
    """A network that replays its forward pass and input gradient as a CUDA graph.

    Shapes: (B, C, H, W) -> (B, classes). A graph is captured for each batch size at its first use.
    A network that cannot be captured, for example because its host waits for the GPU, runs
    without graphs.

    Args:
        net: The network.
        capture: Makes a graphed callable; tests replace it.
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
            except Exception:  # whatever a network does that a graph cannot hold
                self.works = False
                return self.net(x)  # type: ignore[no-any-return]
        if padded.requires_grad:
            # The graph's own memory, like that of the logits: the next replay overwrites it.
            padded.register_hook(torch.clone)  # type: ignore[no-untyped-call]
        return self.graphs[shape](padded)[: len(x)].clone()


def with_cuda_graphs(net: nn.Module, x: Tensor) -> nn.Module:
    """Return `net` with CUDA graphs, or `net` itself if they do not work.

    Args:
        net: The network, (B, C, H, W) -> (B, classes).
        x: Images on the network's device; graphs need a GPU, and must agree with `net` on them.
    """
    if x.device.type != "cuda":
        return net
    replayed = GraphedModel(net)
    try:
        # Coarsely: the network may be in bfloat16, which rounds coarsely.
        return (
            replayed
            if outputs_agree(net, replayed, x, COARSE_TOLERANCE) and replayed.works
            else net
        )
    except Exception:
        return net  # for example a network without input gradient: the attack reports that
