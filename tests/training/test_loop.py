"""The one training loop: its learning rate, its order, and what stays frozen."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from robustbench_mix.config.training import Recipe
from robustbench_mix.errors import RbmixError
from robustbench_mix.training.loop import BatchLoss, fit, learning_rate_factor


def test_the_rate_rises_linearly_and_falls_to_zero() -> None:
    """To its peak at the end of the warm-up; half of it half-way down the cosine."""
    rates = [learning_rate_factor(step, 100, 0.2) for step in range(101)]
    assert rates[:20] == pytest.approx([(step + 1) / 20 for step in range(20)])
    assert max(rates) == rates[19] == rates[20] == 1
    assert rates[60] == pytest.approx(0.5)
    assert rates[100] == pytest.approx(0)
    assert all(b <= a for a, b in pairwise(rates[20:]))


def test_one_step_is_a_whole_training() -> None:
    """Nothing is divided by zero."""
    assert learning_rate_factor(0, 1, 0.0) == 1


RECIPE = Recipe(
    epochs=2, batch_size=4, optimizer="sgd", lr=0.1, weight_decay=0.1, warmup=0.2, pad=0,
    flip=False,
)  # fmt: skip


def fitted(seed: int = 0, recipe: Recipe = RECIPE) -> tuple[nn.Module, list[list[int]]]:
    """A network after so few steps, and the positions of the images in each of its batches."""
    torch.manual_seed(1)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2, 1))
    model[0].weight.requires_grad_(False)
    x = torch.rand(10, 1, 3, 3)
    batches = []

    def loss_of(rows: Tensor, generator: torch.Generator, autocast: torch.autocast) -> BatchLoss:
        batches.append(rows.tolist())
        with autocast:
            made = model(x[rows])
        return ((made.float() - 1) ** 2).mean(), lambda: ""

    assert fit(model, 10, recipe, seed, torch.device("cpu"), loss_of).time_seconds >= 0
    return model, batches


def test_every_epoch_shows_each_image_once() -> None:
    """In an order of its own, which the seed alone decides."""
    _, batches = fitted()
    assert [len(one) for one in batches] == [4, 4, 2] * 2
    epochs = [[row for one in part for row in one] for part in (batches[:3], batches[3:])]
    assert [sorted(one) for one in epochs] == [list(range(10))] * 2
    assert epochs[0] != epochs[1]
    assert fitted()[1] == batches
    assert fitted(seed=1)[1] != batches


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_what_is_frozen_stays(optimizer: str, precision: str) -> None:
    """Weight decay does not move it either; weights stay in float32, the model in eval mode."""
    recipe = replace(RECIPE, optimizer=optimizer, precision=precision)
    torch.manual_seed(1)
    fresh = nn.Conv2d(1, 2, 3)
    model, _ = fitted(recipe=recipe)
    assert torch.equal(model[0].weight, fresh.weight)
    assert not torch.equal(model[0].bias, fresh.bias)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert not model.training
    again, _ = fitted(recipe=recipe)
    assert torch.equal(again[2].weight, model[2].weight)


def test_averages_are_of_the_same_steps() -> None:
    """The last weights are those of a training without; the network has others, and float32."""
    plain, batches = fitted()
    averaged, same = fitted(recipe=replace(RECIPE, averaging=0.9))
    assert same == batches
    assert not torch.equal(averaged[2].weight, plain[2].weight)
    assert torch.equal(averaged[0].weight, plain[0].weight)  # frozen


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_ends_it(value: float) -> None:
    """In one line with the epoch and the rate."""
    model = nn.Linear(1, 1)

    def loss_of(*_: object) -> BatchLoss:
        return model.weight.abs().sum() * value, lambda: ""

    with pytest.raises(RbmixError, match=rf"became {value} in epoch 2 \(lr 0.1\); try a smaller"):
        fit(model, 4, RECIPE, 0, torch.device("cpu"), loss_of)
