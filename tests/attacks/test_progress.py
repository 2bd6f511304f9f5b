"""A bar that moves with passes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import nn

from robustbench_mix.attacks import progress
from robustbench_mix.attacks.counted_model import CountedModel
from robustbench_mix.attacks.passes import Count


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, float]]:
    """What the bar is told: how much is done, and of how much."""
    found: list[tuple[float, float]] = []

    @contextmanager
    def bar(description: str, total: float) -> Iterator[Any]:
        assert (description, total) == ("measuring", 10)
        yield lambda done, total: found.append((done, total))

    monkeypatch.setattr(progress, "progress_bar", bar)
    return found


def test_the_passes_of_all_models_move_the_bar(seen: list) -> None:
    """Those before the block do not; at its end all is done."""
    first, second = CountedModel(nn.Flatten()), CountedModel(nn.Flatten())
    x = torch.rand(4, 1, 1, 2)
    first(x)
    with progress.show_passes("measuring", Count(6, 4), first, second):
        second(x.requires_grad_()).sum().backward()
        first(x[:1])
    assert seen == [(4, 10), (8, 10), (9, 10), (9, 9)]
    first(x)
    assert len(seen) == 4


def test_more_passes_than_expected_move_the_end(seen: list) -> None:
    """The bar is not full before the end."""
    model = CountedModel(nn.Flatten())
    with progress.show_passes("measuring", Count(10), model):
        model(torch.rand(20, 1, 1, 2))
    assert seen == [(20, 20.2), (20, 20)]


def test_who_listened_before_listens_again(seen: list) -> None:
    """After the block."""
    model, heard = CountedModel(nn.Flatten()), []
    model.on_pass = heard.append
    model.reset_passes(0)
    with progress.show_passes("measuring", Count(10), model):
        model(torch.rand(2, 1, 1, 2))
    model(torch.rand(2, 1, 1, 2))
    assert heard == [model.passes]
