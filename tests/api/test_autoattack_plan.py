"""The plan behind a call of `AutoAttack` has the settings of that moment."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from robustbench_mix.api.autoattack import AutoAttack
from robustbench_mix.api.autoattack_plan import ensemble_plan
from robustbench_mix.data.tensors import dataset_of
from robustbench_mix.errors import RbmixError

DATA = dataset_of((torch.rand(4, 1, 2, 2), torch.tensor([0, 1, 0, 1])))


@pytest.fixture
def adversary() -> AutoAttack:
    """On a network of two classes."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    return AutoAttack(net, eps=8 / 255, seed=3, verbose=False)


def test_settings_are_those_of_now(adversary: AutoAttack) -> None:
    """Standard ones are none; a changed norm, radius and option are in the plan."""
    plan = ensemble_plan(adversary, DATA, adversary.attacks_to_run, 2)
    assert (plan.attack.protocol.options, plan.attack.batch_size) == ({}, 2)
    assert [eps.text for eps in plan.attack.protocol.eps] == ["8/255"]
    assert (plan.model.spec.seed, plan.data.count, plan.device) == (3, 4, "cpu")
    adversary.norm, adversary.epsilon, adversary.apgd.n_iter = "L2", 0.5, 7
    changed = ensemble_plan(adversary, DATA, ["apgd-ce"], 2).attack
    assert changed.protocol.norm == "l2"
    assert changed.protocol.options == {
        "components": ["apgd-ce"], "settings": {"apgd-ce": {"steps": 7}},
    }  # fmt: skip
    adversary.apgd.eot_iter = 5
    assert ensemble_plan(adversary, DATA, ["apgd-ce"], 2).attack.randomised


def test_it_needs_attacks_and_one_radius(adversary: AutoAttack) -> None:
    """In one line."""
    with pytest.raises(RbmixError, match="attacks_to_run is empty"):
        ensemble_plan(adversary, DATA, [], 2)
    adversary.epsilon = "1/255,2/255"
    with pytest.raises(RbmixError, match="is several"):
        ensemble_plan(adversary, DATA, ["apgd-ce"], 2)
