"""What both engines share: a model that is lent, the clean state, and the count of passes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from robustbench_mix.attacks.counted_model import CountedModel
from robustbench_mix.attacks.passes import PassCounter
from robustbench_mix.data.dataset import Split
from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation import harness
from robustbench_mix.evaluation.harness import Settings

CPU = torch.device("cpu")


def split_of(labels: list[int]) -> Split:
    """One-pixel images of grey level 10, 20, ..."""
    n = len(labels)
    images = (10 * torch.arange(1, n + 1, dtype=torch.uint8))[:, None, None, None]
    return Split(images, torch.tensor(labels), torch.arange(n), 100)


class Step(nn.Module):
    """Class 1 above grey level 25, with a margin of ten times the distance."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        value = 10 * (x.flatten(1)[:, 0] - 0.25)
        return torch.stack([torch.zeros_like(value), value, torch.full_like(value, -99)], 1)


def test_a_few_images_are_tried() -> None:
    """As many as there are, up to eight."""
    assert harness.sample(split_of([0] * 9), CPU).shape == (8, 1, 1, 1)
    assert harness.sample(split_of([0]), CPU).shape == (1, 1, 1, 1)


def test_classes_are_those_of_the_logits() -> None:
    """More than there are labels is allowed, fewer are not."""
    assert harness.classes_of(Step(), split_of([0, 1]), CPU) == 3
    harness.check_classes(3, split_of([0, 2]))
    with pytest.raises(RbmixError, match="has 2 classes, but the data set has labels up to 2"):
        harness.check_classes(2, split_of([0, 2]))
    with pytest.raises(RbmixError, match=r"labels up to 1; torch.cat\(\[-z, z\], 1\) makes two"):
        harness.check_classes(1, split_of([0, 1]))


@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_the_clean_state(batch_size: int) -> None:
    """Predictions and margins, the same in any batches; nothing was attacked."""
    settings = Settings(0, CPU, batch_size)
    model = CountedModel(Step())
    state = harness.clean_state(model, split_of([0, 1, 1, 1]), settings, 3)
    assert state.prediction == [0, 0, 1, 1]
    assert state.correct == [True, False, True, True]
    assert state.margin == pytest.approx([1.5, -0.5, 0.5, 1.5], abs=1e-6)
    assert (state.level, state.failed, state.stage) == ([3] * 4, [-1] * 4, [0] * 4)
    assert (state.batch_size, model.passes.forward, state.passes) == (batch_size, 4, {})


def test_labels_that_the_model_does_not_have() -> None:
    """Are refused before the first verdict."""
    with pytest.raises(RbmixError, match="labels up to 3"):
        harness.clean_state(CountedModel(Step()), split_of([0, 3]), Settings(0, CPU, 1), 3)


def test_several_draws_are_a_vote() -> None:
    """That depends on the seed and the images, not on what was drawn before."""

    class Noisy(Step):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) + 0.3 * torch.randn(len(x), 3)

    found = []
    for seed in (0, 0, 1):
        torch.rand(7)
        model = CountedModel(Noisy())
        split, settings = split_of([0, 0, 1, 1]), Settings(seed, CPU, 4)
        found.append(harness.clean_state(model, split, settings, 3, draws=9))
        assert model.passes.forward == 36
    assert found[0].margin == found[1].margin != found[2].margin
    assert found[0].correct == [True] * 4


def test_passes_add_up(make_state: Callable) -> None:
    """By the stage, and by the image where that is known."""
    state = make_state(4, forward=[None] * 4, gradient=[1] * 4)
    counter = PassCounter(2)
    counter.add(0, 2, torch.tensor([0, 1]))
    counter.add(1, 1, torch.tensor([1]))
    harness.add_passes(state, "pgd-0", counter, [3, 1])
    harness.add_passes(state, "pgd-0", counter, None)
    harness.add_passes(state, "square", counter, [3, 0])
    assert state.passes == {
        "pgd-0": {"forward": 4, "gradient": 2}, "square": {"forward": 2, "gradient": 1},
    }  # fmt: skip
    assert state.forward == [1, 1, None, 2]
    assert state.gradient == [2, 2, 1, 1]
