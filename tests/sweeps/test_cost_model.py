"""Estimates of the time that work takes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from robustbench_mix.config.model import ModelSpec
from robustbench_mix.sweeps.cost_model import CostModel

pytestmark = pytest.mark.default


def test_costs_grow_with_the_work() -> None:
    """Twice the images, twice the time; adversarial training costs more."""
    from robustbench_mix.config.training import Adversarial, recipe_for
    from robustbench_mix.models.factory import Shape

    costs = CostModel(torch.device("cpu"))
    spec, shape = ModelSpec("resnet14_w4"), Shape(1, 8, 10)
    recipe = recipe_for("resnet", "digits")
    cost = costs.training_seconds(spec, shape, recipe, 640)
    assert costs.training_seconds(spec, shape, recipe, 1280) == pytest.approx(2 * cost)
    assert (
        costs.training_seconds(spec, shape, replace(recipe, adversarial=Adversarial("1/16")), 640)
        > cost
    )
