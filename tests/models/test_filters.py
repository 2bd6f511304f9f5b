"""The filters of every spatial word."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from robustbench_mix.config.model import Spatial, parse_spatial
from robustbench_mix.errors import RbmixError
from robustbench_mix.models import filters, mixers
from robustbench_mix.models.gaussian_bank import gaussian_bank
from robustbench_mix.models.separable import SeparableConv2d

# PyTorch says that it copies the input to pad it unevenly.
EVEN = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")


def depthwise(spatial: str, kernel: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """The initial and the chosen filters of one separable convolution."""
    torch.manual_seed(3)
    net = nn.Sequential(SeparableConv2d(4, 6, kernel, padding="same"))
    before = net[0].depthwise.weight.detach().clone()
    mixers.set_mixers(net, parse_spatial(spatial), "learned")
    return before, net[0].depthwise.weight.detach()


def test_frozen_keeps_the_initial_filters() -> None:
    """Freezing changes no weight."""
    before, after = depthwise("frozen")
    assert torch.equal(before, after)


def test_same_uses_the_first_channels_filters_everywhere() -> None:
    """One set of k^2 random kernels serves every input channel."""
    before, after = depthwise("same")
    assert torch.equal(after.view(4, 9, 3, 3), before[:9].view(1, 9, 3, 3).expand(4, 9, 3, 3))


def test_single_is_one_filter() -> None:
    """The first one, for every channel and multiplier."""
    before, after = depthwise("single")
    assert torch.equal(after, before[:1].expand_as(before))


def test_repeated_gives_a_channel_one_filter() -> None:
    """As often as the multiplier says; as many different ones over the channels."""
    net = nn.Sequential(SeparableConv2d(5, 6, 3, multiplier=2))
    before = net[0].depthwise.weight.detach().clone()
    mixers.set_mixers(net, Spatial("repeated"), "learned")
    after = net[0].depthwise.weight.view(5, 2, 3, 3)
    assert torch.equal(after, before[[0, 0, 1, 1, 0, 0, 1, 1, 0, 0], 0].view(5, 2, 3, 3))


def test_an_impulse_is_one_random_pixel() -> None:
    """Where the filter as drawn is largest: every place of the kernel about as often."""
    net = nn.Sequential(SeparableConv2d(200, 6, 3))
    before = net[0].depthwise.weight.detach().clone().flatten(1)
    mixers.set_mixers(net, Spatial("impulse"), "learned")
    after = net[0].depthwise.weight.flatten(1)
    assert torch.equal(after.sort(dim=1).values[:, -2:], torch.tensor([[0.0, 1.0]]).expand(1800, 2))
    assert torch.equal(after.argmax(1), before.abs().argmax(1))
    assert after.sum(0).sub(200).abs().max() < 60


def test_gaussian_filters_are_the_bank_in_turn() -> None:
    """Eight filters over the 36 of four channels, whatever was drawn."""
    _, after = depthwise("gaussian")
    bank = gaussian_bank(3, 3).float()
    assert torch.equal(after[:, 0], bank.repeat(5, 1, 1)[:36])


def test_a_kernel_of_two_pixels_has_no_derivatives() -> None:
    """Refused with what is needed."""
    net = nn.Sequential(SeparableConv2d(4, 6, 2))
    with pytest.raises(RbmixError, match=r"'gaussian': this model's filters are 2x2.*3x3"):
        mixers.set_mixers(net, Spatial("gaussian"), "learned")


def test_box_averages() -> None:
    """A box filter is constant and sums to one."""
    _, after = depthwise("box")
    assert torch.allclose(after, torch.full_like(after, 1 / 9))


@EVEN
@pytest.mark.parametrize("kernel", [2, 3, 5, 8])
def test_identity_passes_each_channel_on(kernel: int) -> None:
    """Delta filters leave every pixel where it is, for even kernels too."""
    net = nn.Sequential(SeparableConv2d(4, 6, kernel, padding="same"))
    mixers.set_mixers(net, Spatial("identity"), "learned")
    x = torch.randn(1, 4, 9, 9)
    out = net[0].depthwise(x).view(1, 4, kernel * kernel, 9, 9)
    assert torch.equal(out, x[:, :, None].expand_as(out))


def test_smoothing_keeps_only_low_frequencies() -> None:
    """The kept DCT coefficients are scipy's, the others are zero."""
    from scipy.fft import dctn

    weight = torch.randn(5, 1, 8, 8, dtype=torch.float64)
    smoothed = filters.low_pass(weight, 6)
    before = dctn(weight.numpy(), axes=(-2, -1), norm="ortho")
    after = dctn(smoothed.numpy(), axes=(-2, -1), norm="ortho")
    torch.testing.assert_close(torch.tensor(after[..., :6, :6]), torch.tensor(before[..., :6, :6]))
    assert abs(after[..., 6:, :]).max() < 1e-12
    assert abs(after[..., :, 6:]).max() < 1e-12


def test_smoothing_all_coefficients_changes_nothing_and_rescaling_restores_norms() -> None:
    """keep = k is the identity; `rescaled` gives each filter its norm back."""
    weight = torch.randn(4, 1, 5, 5, dtype=torch.float64)
    torch.testing.assert_close(filters.low_pass(weight, 5), weight)
    rescaled = filters.low_pass(weight, 2, rescale=True)
    torch.testing.assert_close(rescaled.flatten(1).norm(dim=1), weight.flatten(1).norm(dim=1))


def test_smoothing_beyond_the_kernel_is_refused() -> None:
    """S above k is named with what is allowed."""
    with pytest.raises(RbmixError, match=r"smoothed:4.*3x3.*between 1 and 3"):
        depthwise("smoothed:4")
