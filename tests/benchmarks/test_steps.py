"""Single steps: what is built for them, and that they do what is compared."""

from __future__ import annotations

import pytest
import torch

from robustbench_mix.benchmarks import steps
from robustbench_mix.models.separable import SeparableConv2d

CPU = torch.device("cpu")
NAME, SIZE = "resnet14_w4", 8


def test_images_are_the_same_each_time() -> None:
    """Within the box, with classes in turn."""
    x, y = steps.random_images(12, 4, CPU)
    again, _ = steps.random_images(12, 4, CPU)
    assert x.shape == (12, 3, 4, 4)
    assert torch.equal(x, again)
    assert 0 <= float(x.min()) < float(x.max()) <= 1
    assert y.tolist() == [*range(10), 0, 1]


def test_the_dense_twin_has_no_separable_convolution() -> None:
    """And trains all of its weights, which are more."""
    model, twin = steps.build_untrained(NAME, SIZE, "frozen"), steps.dense_twin(NAME, SIZE)
    assert any(isinstance(module, SeparableConv2d) for module in model.modules())
    assert not any(isinstance(module, SeparableConv2d) for module in twin.modules())
    assert not all(parameter.requires_grad for parameter in model.parameters())
    assert all(parameter.requires_grad for parameter in twin.parameters())
    x, _ = steps.random_images(2, SIZE, CPU)
    assert model(x).shape == twin(x).shape == (2, 10)


def test_a_bare_step_leaves_no_gradient_behind() -> None:
    """It is of the images alone."""
    model = steps.build_untrained(NAME, SIZE)
    x, y = steps.random_images(2, SIZE, CPU)
    before = x.clone()
    steps.bare_step(model, x, y)()
    assert torch.equal(x, before)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not model.training


@pytest.mark.parametrize("exact", [True, False])
def test_the_engine_makes_every_step_on_every_image(
    exact: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No image leaves the batch: each is correct, and its epsilon next to nothing."""
    counts: list[tuple[int, int]] = []
    inner = steps.pgd

    def counting(counted, batch, **options):
        out = inner(counted, batch, **options)
        counts.append((len(batch.x), int(counted.passes.gradient)))
        return out

    monkeypatch.setattr(steps, "pgd", counting)
    model = steps.build_untrained(NAME, SIZE)
    x, _ = steps.random_images(6, SIZE, CPU)
    steps.engine_steps(model, x, 3, exact=exact)()
    assert counts == [(6, 18)]
