"""Networks that other packages register."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from robustbench_mix.data.shape import Shape
from robustbench_mix.errors import RbmixError
from robustbench_mix.models.sources import registered
from robustbench_mix.runtime import plugins


def make(num_classes: int = 10, in_chans: int = 3) -> nn.Module:
    """A network for any shape."""
    return nn.Sequential(nn.Flatten(), nn.Linear(in_chans * 4, num_classes))


def absent() -> object:
    """What an entry point that cannot be imported does."""
    raise RbmixError("model 'absent' of theirs 1.0 cannot be imported")


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three names of another package."""
    loaders = {"net": lambda: make, "wrong": lambda: dict, "absent": absent}
    monkeypatch.setattr(plugins, "model_loaders", lambda: loaders)


def test_it_is_built_for_the_shape() -> None:
    """It is told classes and channels; as published it is called without."""
    net = registered.build("net", Shape(1, 2, 7))
    assert net(torch.rand(1, 1, 2, 2)).shape == (1, 7)
    found = registered.load_pretrained("net")
    assert found.model[1].out_features == 10
    assert (found.weights, found.mean, found.std) == ("", None, None)


def test_what_is_wrong_with_it() -> None:
    """It cannot be imported, or makes no network; checking makes none."""
    registered.check("net")
    registered.check("wrong")
    with pytest.raises(RbmixError, match="theirs 1.0 cannot be imported"):
        registered.check("absent")
    for call in (lambda: registered.build("wrong", Shape(1, 2, 7)),
                 lambda: registered.load_pretrained("wrong")):  # fmt: skip
        with pytest.raises(RbmixError, match="model 'wrong' returned dict, not an nn.Module"):
            call()
