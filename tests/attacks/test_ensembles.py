"""AutoAttack of our own attacks: no stage is idle."""

from __future__ import annotations

import pytest
import torch

from robustbench_mix.attacks.base import Batch
from robustbench_mix.attacks.counted_model import CountedModel
from robustbench_mix.attacks.native import ensembles


@pytest.mark.parametrize("name", ["apgd-ce", "apgd-t", "fab-t", "square"])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_every_stage_breaks_something(linear_case, name: str, norm: str) -> None:
    """Each attack alone breaks an easy image, beyond what placing has broken."""
    model, split = linear_case(10)
    (stage,) = ensembles.autoattack_stages(10, components=[name], queries=300)
    x, y = split.pixels(), split.labels
    eps = torch.full((len(x),), {"linf": 0.2, "l2": 1.0}[norm])
    batch = Batch(x, y, eps, torch.arange(len(x)), norm)
    x_adv = stage.attack(CountedModel(model), batch)
    assert (model(x_adv).argmax(1) != y).float().mean() > 0.5
