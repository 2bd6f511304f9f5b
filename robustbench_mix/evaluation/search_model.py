"""Choose the cheapest equal form of a model, which attacks search in its place."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from robustbench_mix.attacks.counted_model import CountedModel
from robustbench_mix.models.cuda_graphs import with_cuda_graphs
from robustbench_mix.models.fusion import convert_to_bfloat16, simplify
from robustbench_mix.models.prepacked import prepack
from robustbench_mix.runtime.devices import has_fast_bfloat16

# If the margin in bfloat16 is below this share of the spread of the logits, the exact network
# decides. The share is about the 99th percentile of the error on trained networks.
DOUBT = 0.01


def search_model(model: nn.Module, x: Tensor, *, exact: bool = False) -> CountedModel:
    """Return the model that attacks search: the cheapest equal one, in bfloat16 if that is faster.

    Examples found in bfloat16, and near misses, are judged in the model's own precision within
    the attack already.

    Args:
        model: The network, in eval mode.
        x: A few of the images, (B, C, H, W).
        exact: Whether to stay in the network's own precision even if bfloat16 is faster.
    """
    cheapest = simplify(model, x)
    halved = None
    if not exact and _is_float32(model) and has_fast_bfloat16(x.device):
        halved = convert_to_bfloat16(cheapest, x)
    exact_net = with_cuda_graphs(prepack(cheapest, x), x)
    if halved is None:
        return CountedModel(exact_net)
    halved_net = with_cuda_graphs(prepack(halved, x), x)
    return CountedModel(halved_net, judge=CountedModel(exact_net), doubt=DOUBT)


def _is_float32(model: nn.Module) -> bool:
    """Return whether all weights are in float32; without weights there is nothing to round."""
    kinds = {one.dtype for one in model.parameters() if one.is_floating_point()}
    return kinds == {torch.float32}
