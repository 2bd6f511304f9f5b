"""What a caller has switched on around a call neither helps nor harms it."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch

from robustbench_mix.runtime.torch_modes import default_modes


@pytest.mark.parametrize(
    "around",
    [
        nullcontext(),
        torch.no_grad(),
        torch.inference_mode(),
        torch.autocast("cpu", dtype=torch.bfloat16),
        torch.device("meta"),
    ],
)
def test_modes_are_the_usual_ones(around) -> None:
    """Gradients flow, in float32, on the CPU."""
    with around:
        with default_modes():
            weight = torch.eye(3).requires_grad_()
            product = weight @ weight
            assert product.dtype == torch.float32
            assert product.device.type == "cpu"
            (gradient,) = torch.autograd.grad(product.sum(), weight)
            assert gradient.shape == (3, 3)
            assert not weight.is_inference()
        assert torch.is_inference_mode_enabled() is isinstance(around, torch.inference_mode)
        assert torch.is_autocast_enabled("cpu") is isinstance(around, torch.autocast)


def test_the_default_type_comes_back() -> None:
    """Also after an error."""
    torch.set_default_dtype(torch.float64)
    try:
        with pytest.raises(KeyError), default_modes():
            assert torch.zeros(1).dtype == torch.float32
            raise KeyError
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
