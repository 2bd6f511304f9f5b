"""The networks that are compared."""

from __future__ import annotations

import torch

from robustbench_mix.benchmarks import curves, steps
from robustbench_mix.models.separable import SeparableConv2d


def test_the_networks_compared_compute_the_same() -> None:
    """Two-step, composed and as trained agree; only the two-step one has two steps."""
    model = steps.build_untrained("resnet14_w4", 8).eval()
    x = torch.rand(3, 3, 8, 8)
    written, dense = curves.as_two_steps(model), curves.as_dense(model)
    torch.testing.assert_close(written(x), model(x), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(dense(x), model(x), rtol=1e-4, atol=1e-5)
    separable = [m for m in written.modules() if isinstance(m, SeparableConv2d)]
    assert separable
    assert all(m.forward == m.two_step for m in separable)
    assert not any(isinstance(m, SeparableConv2d) for m in dense.modules())
