"""Sets of weights in what a file holds."""

from __future__ import annotations

import torch
from torch import nn

from robustbench_mix.models.weight_sets import is_counter, parts, weight_sets


def net() -> nn.Module:
    """A small module with parameters and buffers."""
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))


def under(prefix: str, state: dict) -> dict:
    """The same weights with a prefix before each name."""
    return {prefix + name: tensor for name, tensor in state.items()}


def test_every_dict_and_every_prefix_is_a_set() -> None:
    """Those that fit come first, the plain one before all; optimisers are none."""
    state = net().state_dict()
    content = {
        "ema": state,
        "model": {**under("module.", state), **under("module.teacher.", state)},
        "optimizer": {"state": {0: {"exp_avg": torch.zeros(3, 2)}}},
    }
    found = weight_sets(content, net().state_dict())
    assert [one.name for one in found] == ["model", "ema", "model.teacher"]
    assert all(one.fits for one in found)
    assert [one.is_plain for one in found] == [True, False, False]
    assert set(found[0].rest) == {f"teacher.{name}" for name in state}
    assert found[0].equals(found[1])


def test_parts_of_a_network_are_no_set() -> None:
    """Layers whose parts have the names of the whole do not count as copies of it."""
    net = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)))
    assert [one.name for one in weight_sets(net.state_dict(), net.state_dict())] == [""]


def test_what_does_not_fit_is_named() -> None:
    """The names that are missing and those of another shape; without any, the whole dict."""
    state = net().state_dict()
    state["0.weight"] = torch.zeros(4, 2)
    del state["1.bias"], state["1.num_batches_tracked"]
    (found,) = weight_sets(state, net().state_dict())
    assert (found.missing, found.wrong, found.fits) == (("1.bias",), ("0.weight",), False)
    (other,) = weight_sets({"x": torch.zeros(1)}, net().state_dict())
    assert len(other.missing) == 6
    assert weight_sets({"epoch": 1, "list": [torch.zeros(1)]}, net().state_dict()) == []


def test_wrappers_are_no_parts_of_names() -> None:
    """DataParallel and compile leave their words anywhere in a name."""
    assert parts("module._orig_mod.features.module.0.weight") == ["features", "0", "weight"]
    assert is_counter("1.num_batches_tracked")
    assert not is_counter("1.weight")
