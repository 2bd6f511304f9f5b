"""Square with cached and batched queries finds what Square finds, with fewer passes."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn

from robustbench_mix.attacks.base import Batch
from robustbench_mix.attacks.counted_model import CountedModel
from robustbench_mix.attacks.native.square import square
from robustbench_mix.attacks.native.square_cache import square_cached


@pytest.mark.default
@pytest.mark.parametrize("channels", [1, 2, 12])
def test_cached_square_is_square(channels: int) -> None:
    """Not asking twice changes no point that is found, and saves passes on small images."""
    torch.manual_seed(channels)
    model = nn.Sequential(nn.Conv2d(channels, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(64, 4))
    x = torch.rand(40, channels, 6, 6)
    y = model(x).argmax(1)
    eps, seeds = torch.full((40,), 0.06 / channels**0.5), torch.arange(40)
    spent, found = [], []
    batch = Batch(x, y, eps, seeds, "linf")
    for attack in (partial(square, early_stop=False), square_cached):
        counted = CountedModel(model, images=40)
        found.append(attack(counted, batch, queries=700))
        spent.append(counted.passes.each[0])
    broken = [model(x_adv).argmax(1) != y for x_adv in found]
    assert torch.equal(*broken)
    assert 3 <= int(broken[0].sum()) <= 37
    # Without an early stop the first point is replaced by later ones: only who falls compares.
    standing = ~broken[0]
    assert (spent[0][standing] == 701).all()
    # What was asked ahead in vain is at most one query in sixteen.
    assert (spent[1][standing] < (300 if channels == 1 else 701 * 17 / 16)).all()
