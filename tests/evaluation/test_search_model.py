"""The model that attacks search in place of the network."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from robustbench_mix.evaluation import search_model as module
from robustbench_mix.evaluation.search_model import DOUBT, search_model
from robustbench_mix.models.given import Adapted

X = torch.rand(4, 3, 8, 8)


@pytest.fixture
def net() -> nn.Module:
    """A convolution with a norm, which can be folded into it."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(8, 4),
    ).eval()  # fmt: skip


def test_without_fast_bfloat16_the_network_decides_itself(net, monkeypatch) -> None:
    """In an equal form."""
    monkeypatch.setattr(module, "has_fast_bfloat16", lambda _: False)
    found = search_model(net, X)
    assert found.judge is None
    torch.testing.assert_close(found(X), net(X), rtol=1e-4, atol=1e-5)


def test_in_bfloat16_the_exact_network_judges(net, monkeypatch) -> None:
    """What comes closer than the error of rounding is asked about."""
    monkeypatch.setattr(module, "has_fast_bfloat16", lambda _: True)
    monkeypatch.setattr(module, "convert_to_bfloat16", lambda model, _: Rounded(model))
    found = search_model(net, X)
    assert found.doubt == DOUBT
    assert found.judge.judge is None
    torch.testing.assert_close(found.judge(X), net(X), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found(X), net(X).round(decimals=1), rtol=0, atol=0.051)
    assert not torch.equal(found(X), found.judge(X))


class Rounded(nn.Module):
    """A coarser copy of a network."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x).round(decimals=1)


@pytest.mark.parametrize(("exact", "dtype"), [(True, torch.float32), (False, torch.float64)])
def test_where_it_is_not_wanted(net, monkeypatch, exact: bool, dtype: torch.dtype) -> None:
    """Asked to be exact, or a network of another precision."""
    monkeypatch.setattr(module, "has_fast_bfloat16", lambda _: True)
    monkeypatch.setattr(module, "convert_to_bfloat16", lambda *_: pytest.fail("converted"))
    assert search_model(Adapted(net.to(dtype), dtype, copies=False), X, exact=exact).judge is None


def test_a_network_that_cannot_be_converted(net, monkeypatch) -> None:
    """Is searched as it is."""
    monkeypatch.setattr(module, "has_fast_bfloat16", lambda _: True)
    monkeypatch.setattr(module, "convert_to_bfloat16", lambda *_: None)
    assert search_model(net, X).judge is None
