"""What is between pixels in [0, 1] and a network."""

from __future__ import annotations

import torch
from torch import nn

from robustbench_mix.models.normalize import Normalized


class Seen(nn.Module):
    """Keeps what it is given."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.x = x
        return x.flatten(1)


def test_pixels_are_normalised_per_channel() -> None:
    """By buffers, which move and hash with the weights."""
    net = Seen()
    model = Normalized(net, torch.tensor([0.5, 0.25]), torch.tensor([0.25, 0.5]))
    model(torch.full((1, 2, 4, 4), 0.75))
    assert torch.equal(net.x, torch.tensor([1.0, 1.0]).view(1, 2, 1, 1).expand(1, 2, 4, 4))
    assert set(model.state_dict()) == {"mean", "std"}


def test_images_are_resized_by_their_shorter_side() -> None:
    """In proportion; shrinking averages over all pixels, and the same size changes nothing."""
    net = Seen()
    x = torch.rand(1, 1, 8, 16)
    for size, shape in ((4, (4, 8)), (16, (16, 32)), (8, (8, 16))):
        model = Normalized(net, torch.zeros(1), torch.ones(1), size)
        model(x)
        assert net.x.shape[2:] == shape
        assert "size" in model.state_dict()
    assert torch.equal(net.x, x)
    spot = torch.zeros(1, 1, 8, 8)
    spot[..., 3, 3] = 1
    Normalized(net, torch.zeros(1), torch.ones(1), 2)(spot)
    assert net.x.abs().sum() > 0
