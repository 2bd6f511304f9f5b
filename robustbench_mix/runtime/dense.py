"""Whether a tensor holds one number after the other, as nearly all do."""

from __future__ import annotations

import torch
from torch import Tensor

ODD = "sparse, nested or quantised"  # what a tensor is that is not dense


def is_dense(tensor: Tensor) -> bool:
    """Return whether a tensor is neither sparse, nested nor quantised."""
    return tensor.layout == torch.strided and not (tensor.is_quantized or tensor.is_nested)
