"""Finding and freezing mixers."""

from __future__ import annotations

import pytest
from torch import nn

from robustbench_mix.config.model import parse_spatial
from robustbench_mix.models import mixers
from robustbench_mix.models.separable import SeparableConv2d


def test_patch_embedding_is_neither() -> None:
    """The first convolution with kernel = stride mixes nothing that counts."""
    net = nn.Sequential(nn.Conv2d(3, 8, 2, stride=2), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 1))
    assert mixers.patch_embedding(net) is net[0]
    assert list(mixers.channel_mixers(net)) == [net[1], net[2]]
    assert mixers.patch_embedding(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1))) is None


@pytest.mark.parametrize(
    ("spatial", "channel", "expected"),
    [
        ("learned", "learned", (True, True)),
        ("frozen", "learned", (False, True)),
        ("learned", "frozen", (True, False)),
        ("box", "frozen", (False, False)),
    ],
)
def test_freezing_covers_the_named_mixers(spatial, channel, expected) -> None:
    """Two words decide what is trained; norms and head always are."""
    net = nn.Sequential(SeparableConv2d(3, 6, 3, bias=True), nn.BatchNorm2d(6), nn.Linear(6, 2))
    mixers.set_mixers(net, parse_spatial(spatial), channel)
    conv = net[0]
    assert (conv.depthwise.weight.requires_grad, conv.pointwise.weight.requires_grad) == expected
    assert conv.pointwise.bias.requires_grad is expected[1]
    assert net[1].weight.requires_grad
    assert net[2].weight.requires_grad
