"""PyTorch's global modes, which a caller may have switched on around a call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

KINDS = ("cpu", "cuda")


@contextmanager
def default_modes() -> Iterator[None]:
    """Compute within the block as PyTorch does unless told otherwise.

    That is with gradients, outside of inference mode, without autocast, with float32 and the CPU
    as defaults of new tensors. What the caller has set is in force again after the block.
    """
    dtype = torch.get_default_dtype()
    with ExitStack() as modes:
        modes.enter_context(torch.inference_mode(False))
        modes.enter_context(torch.enable_grad())
        for kind in KINDS:
            if torch.is_autocast_enabled(kind):
                modes.enter_context(torch.autocast(kind, enabled=False))
        if torch.get_default_device().type != "cpu":
            modes.enter_context(torch.device("cpu"))
        try:
            torch.set_default_dtype(torch.float32)
            yield
        finally:
            torch.set_default_dtype(dtype)
