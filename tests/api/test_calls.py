"""The one road: whatever a caller has switched on, and whatever goes wrong, all is given back."""

from __future__ import annotations

import copy
import random
from contextlib import nullcontext, suppress

import numpy as np
import pytest
import torch
from torch import nn

import robustbench_mix as rbmix
from robustbench_mix.api.calls import device_of

pytestmark = pytest.mark.default

AROUND = {
    "nothing": nullcontext,
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
}
CALLS = {
    "evaluate": lambda net, x, y: rbmix.evaluate(net, (x, y), "pgd", eps="0.1"),
    "curve": lambda net, x, y: rbmix.curve(net, x, y, "0.1", attack="pgd", steps=3),
    "class": lambda net, x, y: attack(net, "custom").run_standard_evaluation(x, y),
    "clean": lambda net, x, y: attack(net, "custom").clean_accuracy(x, y),
    "alone": lambda net, x, y: attack(net, "custom").run_standard_evaluation_individual(x, y),
    "l1": lambda net, x, y: attack(net, "custom", "L1").run_standard_evaluation(x, y),
}


def attack(net: nn.Module, version: str, norm: str = "Linf") -> rbmix.AutoAttack:
    """A short one."""
    found = rbmix.AutoAttack(net, norm, 0.1, verbose=False, version=version)
    found.attacks_to_run = ["apgd-ce"]
    found.apgd.n_restarts, found.apgd.n_iter = 1, 5
    return found


class Net(nn.Module):
    """A network with statistics and dropout, in train mode, some weights without gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.5),
            nn.Linear(64, 3),
        )  # fmt: skip
        self.body[0].weight.requires_grad_(False)
        self.fails_after = -1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.fails_after -= 1
        if self.fails_after == 0:
            raise ValueError("broken cable")
        return self.body(x)


@pytest.fixture
def case():
    """The network in train mode, eight images and the labels that it gives them."""
    torch.manual_seed(0)
    net, x = Net(), torch.rand(8, 1, 6, 6)
    y = net.eval()(x).argmax(1)
    net.train()
    net.body[2].eval()
    return net, x, y


def snapshot(net: nn.Module) -> dict:
    """All that a caller has lent, in comparable form."""
    states = torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()
    return {
        "weights": {name: tensor.tolist() for name, tensor in net.state_dict().items()},
        "modes": [module.training for module in net.modules()],
        "flags": [parameter.requires_grad for parameter in net.parameters()],
        "grads": [parameter.grad is None for parameter in net.parameters()],
        "states": states,
        "modes of torch": (torch.is_grad_enabled(), torch.get_default_dtype()),
    }


@pytest.mark.parametrize("around", list(AROUND))
@pytest.mark.parametrize("call", list(CALLS))
def test_all_is_given_back(case, call: str, around: str) -> None:
    """And the result is the same whatever is switched on around the call."""
    net, x, y = case
    alone = CALLS[call](copy.deepcopy(net), x, y)
    with AROUND[around]():
        before = snapshot(net)
        found = CALLS[call](net, x * 1.0, y)
        assert snapshot(net) == before
    if call in ("class", "l1"):
        assert torch.equal(found, alone)
    elif call == "evaluate":
        assert found.curve.equals(alone.curve)


@pytest.mark.parametrize("passes", [1, 2, 5, 12, 25])
@pytest.mark.parametrize("call", ["evaluate", "curve", "class", "clean"])
def test_all_is_given_back_after_an_error(case, call: str, passes: int) -> None:
    """Wherever the network fails."""
    net, x, y = case
    before = snapshot(net)
    net.fails_after = passes
    with suppress(ValueError, rbmix.RbmixError):
        CALLS[call](net, x, y)
    assert snapshot(net) == before


@pytest.mark.parametrize("call", ["evaluate", "curve", "class", "clean"])
@pytest.mark.parametrize("wrong", ["labels", "pixels", "shape"])
def test_all_calls_check_alike(case, call: str, wrong: str) -> None:
    """The same data are refused in the same words."""
    net, x, y = case
    x, y = {"labels": (x, y - 3), "pixels": (x * 2, y), "shape": (x[0], y)}[wrong]
    with pytest.raises(rbmix.RbmixError, match="needs"):
        CALLS[call](net, x, y)


@pytest.mark.parametrize("call", ["evaluate", "curve", "class"])
def test_labels_that_the_network_lacks_are_refused(case, call: str) -> None:
    """By all alike."""
    net, x, y = case
    with pytest.raises(rbmix.RbmixError, match="the model has 3 classes, but .* labels up to 7"):
        CALLS[call](net, x, torch.full_like(y, 7))


@pytest.mark.parametrize("call", ["evaluate", "curve", "class"])
def test_what_is_no_network_is_named(case, call: str) -> None:
    """By all alike."""
    _, x, y = case
    with pytest.raises(rbmix.RbmixError, match="model is .*int"):
        CALLS[call](3, x, y)


@pytest.mark.parametrize("named", ["cpu", torch.device("cpu")])
def test_a_device_is_a_word(named) -> None:
    """That of the network unless one is named; a network without weights is on the CPU."""
    assert device_of(nn.Linear(1, 1), named) == "cpu"
    assert device_of(nn.Linear(1, 1, device="meta")) == "meta"
    assert device_of(nn.Flatten()) == "cpu"
