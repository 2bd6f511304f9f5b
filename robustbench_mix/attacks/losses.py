"""The losses that AutoAttack ascends (Croce & Hein, arXiv 2003.01690, section 4).

Each maps logits (B, K) and labels (B,) to one value per image, (B,): larger is worse for
the network.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """Return the untargeted cross-entropy."""
    return F.cross_entropy(logits, y, reduction="none")


def dlr(logits: Tensor, y: Tensor) -> Tensor:
    """Return the difference of logits ratio (DLR), equation 4; it needs three classes."""
    ordered = logits.sort(dim=1).values
    own = pick(logits, y)
    # The largest other logit: the second one where the label is the largest.
    other = ordered[:, -1].where(logits.argmax(1) != y, ordered[:, -2])
    return -(own - other) / (ordered[:, -1] - ordered[:, -3] + 1e-12)


def dlr_targeted(logits: Tensor, y: Tensor, target: Tensor) -> Tensor:
    """Return the DLR loss for target classes, equation 5; it needs four classes.

    Args:
        logits: Logits, (B, classes).
        y: Labels, (B,) int64.
        target: Target classes, (B,) int64.
    """
    ordered = logits.sort(dim=1).values
    scale = ordered[:, -1] - 0.5 * (ordered[:, -3] + ordered[:, -4])
    return -(pick(logits, y) - pick(logits, target)) / (scale + 1e-12)


def margin(logits: Tensor, y: Tensor) -> Tensor:
    """Return the label's logit minus the largest other, which is at most 0 if misclassified."""
    others = logits.scatter(1, y[:, None], float("-inf"))
    return pick(logits, y) - others.amax(1)


def pick(logits: Tensor, classes: Tensor) -> Tensor:
    """Return for each image the logit of its entry in `classes` (B,), as (B,)."""
    return logits.gather(1, classes[:, None]).squeeze(1)
