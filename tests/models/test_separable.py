"""Separable convolutions, and dense ones replaced by them."""

from __future__ import annotations

import copy

import pytest
import torch
import torchvision
from torch import nn

from robustbench_mix.config.model import Spatial
from robustbench_mix.models import mixers, separable
from robustbench_mix.models.separable import SeparableConv2d

# PyTorch says that it copies the input to pad it unevenly.
EVEN = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")

CASES = [
    {"kernel_size": 3, "padding": 1},
    {"kernel_size": 3, "padding": 1, "stride": 2, "bias": True},
    {"kernel_size": 3, "padding": 2, "dilation": 2},
    {"kernel_size": 3, "padding": 1, "groups": 2},
    {"kernel_size": 3, "padding": 1, "multiplier": 18},
    {"kernel_size": (3, 5), "padding": (1, 2)},
    pytest.param({"kernel_size": 2, "padding": "same"}, marks=EVEN),
    {"kernel_size": 7, "padding": 3, "stride": 2},
]


@pytest.mark.parametrize("size", [(9, 9), (4, 1), (2, 3), (1, 1)], ids=str)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_composed_path_equals_two_steps(case: dict, size: tuple[int, int]) -> None:
    """Both paths give the same values and the same gradients, in float64.

    Also over maps that some taps of the kernel never meet.
    """
    conv = SeparableConv2d(4, 6, **case).double()
    assert conv.runs_composed
    x = torch.randn(2, 4, *size, dtype=torch.float64, requires_grad=True)
    outcomes = []
    for path in (conv.forward, conv.two_step):
        y = path(x)
        grads = torch.autograd.grad(
            (y * torch.linspace(-1, 2, y.numel()).view_as(y)).sum(), [x, *conv.parameters()]
        )
        outcomes.append([y, *grads])
    for composed, stepwise in zip(*outcomes, strict=True):
        torch.testing.assert_close(composed, stepwise, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("axis", "wanted"),
    [
        ((1, 3, 1, 1, 1), (slice(1, 2), 0)),
        ((2, 3, 2, 1, 1), (slice(1, 3), 0)),
        ((2, 3, 1, 1, 1), (slice(0, 3), 1)),
        ((2, 5, 1, 2, 1), (slice(1, 4), 1)),
        ((1, 7, 2, 3, 1), (slice(3, 4), 0)),
        ((1, 3, 1, 2, 2), (slice(1, 2), 0)),
        ((3, 3, 1, 0, 1), (slice(0, 3), 0)),
        ((2, 3, 1, 2, 1), (slice(0, 3), 2)),
    ],
)
def test_taps_that_meet_the_map(axis: tuple[int, ...], wanted: tuple[slice, int]) -> None:
    """By size, kernel, stride, padding and dilation: the taps, and the padding left for them."""
    assert separable.taps_within(*axis) == wanted


@pytest.mark.parametrize("case", CASES, ids=str)
def test_composed_module_is_the_same_function(case: dict) -> None:
    """The dense module that `compose` puts in place gives bit-identical outputs."""
    net = nn.Sequential(SeparableConv2d(4, 6, **case)).double()
    x = torch.randn(2, 4, 9, 9, dtype=torch.float64)
    expected = net(x)
    composed = separable.compose(net)
    assert type(composed[0]) is nn.Conv2d
    assert torch.equal(composed(x), expected)


@pytest.mark.parametrize(
    ("width", "kernel", "multiplier", "expected"),
    [(16, 3, 1, False), (16, 3, 2, True), (64, 3, 2, True), (64, 3, 9, True), (512, 3, 2, False),
     (128, 8, 1, False), (128, 8, 64, True)],
)  # fmt: skip
def test_composes_where_that_is_faster(
    width: int, kernel: int, multiplier: int, expected: bool
) -> None:
    """The dense kernel is used up to a certain number of multiplications: never for d = 1."""
    conv = SeparableConv2d(width, width, kernel, multiplier=multiplier)
    two_steps = width * multiplier * (kernel**2 + width)
    assert (
        conv.runs_composed
        is expected
        is (width**2 * kernel**2 <= separable.MAX_COMPOSED_COST * two_steps)
    )


def test_other_padding_keeps_two_steps() -> None:
    """A reflecting border is not a zero border: the two-step path stays."""
    conv = SeparableConv2d(4, 6, 3, padding=1, padding_mode="reflect")
    assert not conv.runs_composed
    x = torch.randn(1, 4, 6, 6)
    assert torch.equal(conv(x), conv.two_step(x))


@pytest.mark.default
@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "resnext50_32x4d", "convnext_tiny"])
def test_separate_works_on_torchvision(name: str) -> None:
    """After separation no dense spatial convolution is left, and shapes are unchanged."""
    net = getattr(torchvision.models, name)(weights=None, num_classes=5).eval()
    x = torch.randn(1, 3, 64, 64)
    before = net(x).shape
    embedding = mixers.patch_embedding(net)
    depthwise = list(mixers.spatial_mixers(net))
    count = sum(separable.is_dense_spatial(m) and m is not embedding for m in net.modules())
    separable.separate(net)
    dense = [
        module
        for module in net.modules()
        if separable.is_dense_spatial(module) and module is not embedding
    ]
    assert dense == []
    assert net(x).shape == before
    assert len(list(mixers.spatial_mixers(net))) == len(depthwise) + count > 0


def test_separable_has_as_many_pointwise_weights_as_dense() -> None:
    """With d = k^2 the pointwise part has the dense convolution's number of weights."""
    conv = SeparableConv2d(8, 12, 3)
    assert conv.pointwise.weight.numel() == nn.Conv2d(8, 12, 3).weight.numel()


class Standardised(nn.Conv2d):
    """Pads unevenly and standardises its kernel, as some published networks do."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        padded = nn.functional.pad(x, (0, 1, 0, 1))
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return nn.functional.conv2d(padded, weight, self.bias, self.stride)


def test_convolutions_of_another_kind_keep_their_forward_pass() -> None:
    """A subclass computes what it always did, with the composed kernel in its place."""
    net = nn.Sequential(nn.Conv2d(3, 4, 3), Standardised(4, 6, 2)).double()
    separable.separate(net).double()
    shell = net[1]
    assert [name for name, _ in shell.named_parameters()] == [
        "depthwise.weight", "pointwise.weight", "pointwise.bias"
    ]  # fmt: skip
    x = torch.randn(2, 3, 7, 7, dtype=torch.float64)
    dense = Standardised(4, 6, 2).double()
    dense.weight.data = shell.composed_weight().detach()
    dense.bias.data = shell.pointwise.bias.detach()
    expected = dense(net[0](x))
    torch.testing.assert_close(net(x), expected)
    net(x).sum().backward()
    assert shell.depthwise.weight.grad.abs().sum() > 0
    composed = separable.compose(copy.deepcopy(net))
    assert type(composed[1]) is Standardised
    torch.testing.assert_close(composed(x), expected)
    assert separable.separate(net)[1] is shell
    assert list(mixers.spatial_mixers(net)) == [net[0].depthwise, shell.depthwise]


class Shifted(nn.Conv2d):
    """A convolution with a forward pass of its own."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x + 1)


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(4, 6, 3, padding=1),
        nn.Conv2d(4, 8, 3, groups=2),
        nn.Conv2d(4, 6, 3, dilation=2, padding=2, stride=2),
        nn.Conv2d(4, 6, (1, 5), padding=(0, 2), bias=False),
        nn.Conv2d(1, 6, 3, padding="same", padding_mode="reflect"),
        Shifted(4, 6, 3, padding=1),
    ],
    ids=str,
)
def test_a_separated_network_can_be_any_dense_one(conv: nn.Conv2d) -> None:
    """With the dense kernel as pointwise weights over unit filters, separating changes nothing."""
    x = torch.randn(2, conv.in_channels, 9, 9, dtype=torch.float64)
    net = nn.Sequential(conv.double())
    expected, kernel, bias = net(x), conv.weight.detach().clone(), conv.bias
    (layer,) = separable.separate(net).double()
    taps = kernel[0, 0].numel()
    unit = torch.eye(taps, dtype=torch.float64).view(taps, 1, *kernel.shape[2:])
    with torch.no_grad():
        layer.depthwise.weight.copy_(unit.repeat(conv.in_channels, 1, 1, 1))
        layer.pointwise.weight.copy_(kernel.flatten(1)[:, :, None, None])
        if bias is not None:
            layer.pointwise.bias.copy_(bias)
    torch.testing.assert_close(net(x), expected, rtol=1e-10, atol=1e-10)


def test_what_stays_as_it_is() -> None:
    """A patch embedding, depthwise and 1x1 convolutions and computed weights are not separated."""
    normed = nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 4, 3))
    net = nn.Sequential(
        nn.Conv2d(3, 4, 2, stride=2), nn.Conv2d(4, 8, 3, groups=4), nn.Conv2d(8, 4, 1), normed
    )
    before = list(net)
    assert list(separable.separate(net)) == before
    assert list(mixers.spatial_mixers(net)) == [net[1]]
    mixers.set_mixers(net, Spatial("frozen"), "learned")
    assert [p.requires_grad for p in net[3].parameters()] == [True] * 3


def test_one_convolution_in_two_places_stays_one() -> None:
    """Shared layers share their separable form."""
    shared = nn.Conv2d(4, 4, 3, padding=1)
    net = separable.separate(
        nn.ModuleDict({"a": nn.Sequential(shared), "b": nn.Sequential(shared)})
    )
    assert isinstance(net["a"][0], SeparableConv2d)
    assert net["a"][0] is net["b"][0]
