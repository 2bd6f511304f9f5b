"""The user's own networks, by `package.module:callable`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from torch import nn

from robustbench_mix.config.model import ModelSpec
from robustbench_mix.data.shape import run_on_blank_image
from robustbench_mix.errors import RbmixError
from robustbench_mix.models import factory
from robustbench_mix.models.sources import registry

SHAPE = factory.Shape(channels=3, size=32, classes=5)
MODULE = """
import torch
from torch import nn

class Strict(nn.Conv2d):
    def forward(self, x):
        return super().forward(x - self.weight.mean())

def make(num_classes=10, in_chans=3):
    return nn.Sequential(Strict(in_chans, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(4, num_classes))

def fixed():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))

def hollow():
    return nn.Linear(2, 2), 3

def needs(something):
    return something

ready = fixed()
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module of the user's own, `mynet`, in the working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "mynet", raising=False)
    (tmp_path / "mynet.py").write_text(MODULE)
    return tmp_path


def test_callables_are_told_what_they_ask_for(module: Path) -> None:
    """Classes and channels are arguments, where a callable has such ones."""
    net = registry.parse("mynet:make").build(factory.Shape(1, 8, 7))
    assert run_on_blank_image(net, factory.Shape(1, 8, 7)).shape == (1, 7)
    assert isinstance(registry.parse("mynet:fixed").build(SHAPE), nn.Module)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("mynet:hollow", "returned tuple, not an nn.Module"),
        ("mynet:needs", "cannot be made: TypeError: needs.. missing 1 required"),
        ("mynet:ready", "is a network; a callable that makes one is needed"),
        ("builtins:dict", "returned dict, not an nn.Module"),
    ],
)
def test_callables_that_make_nothing(module: Path, word: str, message: str) -> None:
    """What cannot be called, or gives no module, is named."""
    with pytest.raises(RbmixError, match=message):
        registry.parse(word).build(SHAPE)


def test_a_network_that_is_there_is_taken_as_it_is(module: Path) -> None:
    """A module object needs no call, and has no published weights to name."""
    found = registry.parse("mynet:ready").load_pretrained()
    assert found.model is sys.modules["mynet"].ready
    assert (found.weights, found.mean) == ("", None)


def test_a_callable_with_other_outputs_is_refused(module: Path) -> None:
    """A network that ignores the number of classes is not trained on another."""
    with pytest.raises(RbmixError, match=r"has 10 outputs, not 4.*--class-index FILE says"):
        factory.build_without_normalization(ModelSpec("mynet:fixed"), factory.Shape(1, 8, 4))
