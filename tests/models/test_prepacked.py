"""Packed convolutions: the same logits and gradients, and the network itself where they fail."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from robustbench_mix.evaluation.compiled_model import compile_model
from robustbench_mix.evaluation.search_model import search_model
from robustbench_mix.models import prepacked
from robustbench_mix.models.equality import COARSE_TOLERANCE, EXACT_TOLERANCE
from robustbench_mix.models.fusion import convert_to_bfloat16, simplify
from robustbench_mix.models.prepacked import PackedConv2d, Prepacked, prepack, unpacked

pytestmark = [
    pytest.mark.quick,
    pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="needs oneDNN"),
]

CONVOLUTIONS = {
    "plain": {"padding": 1},
    "without bias": {"padding": 1, "bias": False},
    "without padding": {},
    "wide padding": {"padding": 3},  # its gradient is no convolution
    "stride": {"padding": 1, "stride": 2},
    "dilated": {"padding": 2, "dilation": 2},
    "uneven": {"kernel_size": (1, 3), "padding": (0, 1)},
    "even kernel": {"kernel_size": 4, "padding": 1},
    "groups": {"padding": 1, "groups": 2},
    "depthwise": {"padding": 1, "groups": 4},
}


def answers(net: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """The output, and the gradient of the sum of its squares."""
    given = x.clone().requires_grad_()
    made = net(given)
    return made.detach(), torch.autograd.grad(made.square().sum(), given)[0]


@pytest.mark.parametrize("name", CONVOLUTIONS)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_packed_convolution_is_equal(name: str, layout: torch.memory_format) -> None:
    """For any geometry and layout, at other batch sizes than it was packed for."""
    torch.manual_seed(0)
    options = {"kernel_size": 3, **CONVOLUTIONS[name]}
    convolution = nn.Conv2d(4, 8, **options).requires_grad_(False)
    packed = PackedConv2d(convolution, [5, 4, 9, 7])
    for batch in (1, 5, 12):
        x = torch.randn(batch, 4, 9, 7).contiguous(memory_format=layout)
        for ours, theirs in zip(answers(packed, x), answers(convolution, x), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["resnet14_w4", "resnet14_d2", "convmixer16_2_k5_p2"])
def test_a_packed_network_is_equal(name: str, network) -> None:
    """Every convolution of ours is packed; the network itself is not touched."""
    net = simplify(network(name, 8), torch.rand(4, 3, 8, 8))
    before = sum(type(module) is nn.Conv2d for module in net.modules())
    packed = prepack(net, torch.rand(4, 3, 8, 8))
    assert isinstance(packed, Prepacked)
    assert unpacked(packed) is net
    assert sum(isinstance(module, PackedConv2d) for module in packed.packed.modules()) == before
    assert not any(isinstance(module, PackedConv2d) for module in net.modules())
    x = torch.rand(7, 3, 8, 8)
    for ours, theirs in zip(answers(packed, x), answers(net, x), strict=True):
        assert (ours - theirs).abs().max() <= EXACT_TOLERANCE * theirs.abs().max()


@pytest.mark.skipif(
    not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="needs bfloat16 in oneDNN"
)
def test_a_network_in_bfloat16_keeps_its_conversions(network) -> None:
    """Pixels reach the first convolution in float32, the others run in bfloat16."""
    x = torch.rand(4, 3, 8, 8)
    net = convert_to_bfloat16(simplify(network("resnet14_w4", 8), x), x)
    assert net is not None
    packed = prepack(net, x)
    assert isinstance(packed, Prepacked)
    assert packed(x).dtype == torch.float32
    assert (packed(x) - net(x)).abs().max() <= COARSE_TOLERANCE * net(x).abs().max()


class Unpackable(nn.Module):
    """Logits from one convolution; with noise, in training mode, or in another precision."""

    def __init__(self, *, noise: float = 0.0) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3)
        self.noise = noise

    def forward(self, x: Tensor) -> Tensor:
        logits = self.convolution(x).mean((2, 3))
        return logits + self.noise * torch.rand_like(logits)


@pytest.mark.parametrize(
    "net",
    [
        Unpackable(noise=1.0).eval(),
        Unpackable().train(),
        Unpackable().eval().double(),
        nn.Sequential(nn.Flatten(), nn.Linear(75, 4)).eval(),
    ],
    ids=["random", "training mode", "float64", "no convolution"],
)
def test_what_cannot_be_packed_is_left_alone(net: nn.Module) -> None:
    """The network itself comes back."""
    net.requires_grad_(False)
    x = torch.rand(2, 3, 5, 5, dtype=next(net.parameters()).dtype)
    assert prepack(net, x) is net


def test_without_the_operators_a_network_is_left_alone(monkeypatch) -> None:
    """They are not part of PyTorch's public interface."""

    def missing(*_: object) -> Tensor:
        raise AttributeError("'_OpNamespace' 'mkldnn' object has no attribute")

    net = Unpackable().eval().requires_grad_(False)
    assert isinstance(prepack(net, torch.rand(2, 3, 5, 5)), Prepacked)
    monkeypatch.setattr(prepacked, "_convolve", missing)
    assert prepack(net, torch.rand(2, 3, 5, 5)) is net


def test_searches_run_on_the_packed_network(network) -> None:
    """And a compiler is given the network that it can read."""
    x = torch.rand(4, 3, 8, 8)
    net = search_model(network("resnet14_w4", 8), x, exact=True).net
    assert isinstance(net, Prepacked)
    seen: list[nn.Module] = []

    def same(given: nn.Module, _: Tensor):
        seen.append(given)
        return given

    assert compile_model(net, x, EXACT_TOLERANCE, same) is not None
    assert not any(isinstance(module, (PackedConv2d, Prepacked)) for module in seen[0].modules())
