"""Judge whether a network misclassifies an image: by one pass, or by the majority of several.

A network that draws random numbers gives different answers for the same image. Judged by a single
draw, an image that is right nine times in ten falls to any attack that asks often enough.
Therefore the majority decides, as in randomised smoothing: an image is misclassified if more than
half of the draws are wrong. A tie counts for the network, so that the robust accuracy stays an
upper bound. The vote counts labels and not logits, whose scale could let one draw outvote the
others.

Source: Cohen et al., arXiv 1902.02918.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from robustbench_mix.attacks.counted_model import CountedModel

DRAWS = 10  # number of forward passes that decide about an image of a randomised network


@torch.no_grad()
def draw_logits(judge: CountedModel, x: Tensor, draws: int) -> Tensor:
    """Return the logits of several passes of the same images.

    Args:
        judge: The model that decides.
        x: Images, (B, C, H, W).
        draws: Number of passes.

    Returns:
        Logits, (draws, B, classes) float32.
    """
    return torch.stack([judge(x) for _ in range(draws)])


def majority_is_wrong(logits: Tensor, y: Tensor) -> Tensor:
    """Return whether more than half of the draws get each image wrong.

    Args:
        logits: Logits of the draws, (draws, B, classes).
        y: Labels, (B,) int64.

    Returns:
        (B,) bool.
    """
    return 2 * (logits.argmax(2) != y).sum(0) > len(logits)


def majority_label(logits: Tensor, y: Tensor) -> Tensor:
    """Return the label, or the most frequent other class where the majority is wrong, (B,)."""
    votes = F.one_hot(logits.argmax(2), logits.shape[2]).sum(0)
    other = votes.scatter(1, y[:, None], -1).argmax(1)
    return torch.where(majority_is_wrong(logits, y), other, y)


def mean_margins(logits: Tensor, y: Tensor) -> Tensor:
    """Return the label's logit minus the largest other, mean over the draws, (B,) float64."""
    logits = logits.double()
    label = y.expand(len(logits), -1)[..., None]
    others = logits.scatter(2, label, -torch.inf).amax(2)
    return (logits.gather(2, label).squeeze(2) - others).mean(0)
