"""The exponential average of a network's weights over its training.

In adversarial training, they were found to be more robust than the last weights.

Source: Gowal et al., Uncovering the Limits of Adversarial Training, arXiv 2010.03593.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

# All parameters and buffers of a network, by their names.
Weights = dict[str, Tensor]


def copy_weights(model: nn.Module) -> Weights:
    """Return a copy of all parameters and buffers of a network, on its device."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


@torch.no_grad()
def update_average(average: Weights, model: nn.Module, decay: float, step: int) -> None:
    """Move the average towards the weights of a network, in place.

    The running statistics of norms are averaged like the weights, as timm's `ModelEmaV3` does. They
    are averages over training already, so their average belongs to the averaged weights, and a
    resumed training ends with the same bytes. Recomputing them, as for averages over distant
    weights (Izmailov et al., arXiv 1803.05407), would need adversarial examples of the averaged
    network: another training step for each batch.

    Args:
        average: The average, which holds the first weights before the first step.
        model: The network after a step.
        decay: The decay of the average after many steps.
        step: The number of steps done, from 1.
    """
    share = 1 - decay_at(step, decay)
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            average[name].lerp_(tensor, share)  # exact where nothing changed: frozen weights
        else:
            average[name].copy_(tensor)


def decay_at(step: int, decay: float) -> float:
    """Return the decay at a step, which is smaller at first.

    So the average is over the last tenth of the steps, and a short training is not dominated by its
    first weights.

    Args:
        step: The number of steps done, from 1.
        decay: The largest decay.

    Source: TensorFlow's `ExponentialMovingAverage` with `num_updates`; the adversarial training of
    Rebuffi et al. (arXiv 2103.01946) uses the same in its published code.
    """
    return min(decay, (1 + step) / (10 + step))


@contextmanager
def borrowed_weights(model: nn.Module, weights: Weights) -> Iterator[None]:
    """Give a network other weights inside the block, and its own ones back afterwards."""
    own = copy_weights(model)
    model.load_state_dict(weights)
    try:
        yield
    finally:
        model.load_state_dict(own)
