"""Run convolutions with weights packed once in the memory layout of the CPU's kernels.

PyTorch converts the weights of a convolution to oneDNN's blocked layout at every call, which takes
a third of a pass of a network of narrow layers. Here the weights are converted once for the forward
pass and once for the gradient, because the gradient of a convolution with stride 1 is a convolution
with the flipped kernels. The operators are those that programs of `torch.compile` call. If a
version of PyTorch lacks them, the network stays unchanged.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from robustbench_mix.models.equality import (
    COARSE_TOLERANCE,
    EXACT_TOLERANCE,
    is_in_train_mode,
    outputs_agree,
)
from robustbench_mix.models.fusion import replace_modules

# Largest allowed difference of logits and gradients, as a share of the largest, by dtype.
TOLERANCE = {torch.float32: EXACT_TOLERANCE, torch.bfloat16: COARSE_TOLERANCE}


class Prepacked(nn.Module):
    """A network with packed convolutions, and the network that it was made from.

    Shapes: (B, C, H, W) -> (B, classes).

    Args:
        packed: The network with packed convolutions, which runs.
        plain: The network that it was made from.
    """

    def __init__(self, packed: nn.Module, plain: nn.Module) -> None:
        super().__init__()
        self.packed = packed
        self.plain = plain
        self.channels_last = getattr(plain, "channels_last", False)

    def forward(self, x: Tensor) -> Tensor:
        return self.packed(x)  # type: ignore[no-any-return]


def unpacked(net: nn.Module) -> nn.Module:
    """Return the network that `prepack` made `net` from, or `net` itself if it is not packed."""
    return net.plain if isinstance(net, Prepacked) else net


def prepack(net: nn.Module, x: Tensor) -> nn.Module:
    """Pack the weights of a network's convolutions for the CPU.

    Args:
        net: A network in eval mode, (B, C, H, W) -> (B, classes).
        x: Images, (B, C, H, W).

    Returns:
        A `Prepacked` copy with the same logits and gradients up to rounding; `net` itself if
        nothing can be packed, or the two do not agree on `x` and other images.
    """
    if x.device.type != "cpu" or is_in_train_mode(net):
        return net
    try:
        packed = copy.deepcopy(net)
        shapes = _input_shapes(packed, x)
        if not shapes:
            return net
        change: dict[nn.Module, nn.Module] = {
            one: PackedConv2d(one, shape) for one, shape in shapes.items()
        }
        replace_modules(packed, change)
        tolerance = max(TOLERANCE[one.weight.dtype] for one in shapes)
        return Prepacked(packed, net) if outputs_agree(net, packed, x, tolerance) else net
    except Exception:
        return net  # the network cannot be copied, or this PyTorch lacks the operators


def _input_shapes(net: nn.Module, x: Tensor) -> dict[nn.Conv2d, list[int]]:
    """Return the input shape of each convolution that can be packed."""
    shapes: dict[nn.Conv2d, list[int]] = {}

    def note(module: nn.Module, given: tuple[Tensor]) -> None:
        assert isinstance(module, nn.Conv2d)
        shapes[module] = list(given[0].shape)

    hooks = [
        module.register_forward_pre_hook(note)
        for module in net.modules()
        if type(module) is nn.Conv2d
        and module.weight.dtype in TOLERANCE
        and not isinstance(module.padding, str)
        and module.padding_mode == "zeros"
    ]
    with torch.no_grad():
        net(x)
    for hook in hooks:
        hook.remove()
    return shapes


class PackedConv2d(nn.Module):
    """`nn.Conv2d` on the CPU with weights that are packed once; no gradient for the weights.

    Args:
        convolution: The convolution to compute; it pads with zeros.
        shape: Shape of an input, (B, C, H, W), for which kernels are chosen. Any batch size works.
    """

    def __init__(self, convolution: nn.Conv2d, shape: list[int]) -> None:
        super().__init__()
        self.plain = convolution
        self.geometry = _geometry(convolution)
        self.packed = _pack(convolution.weight, self.geometry, shape)
        # Keep the hooks that convert the convolution's inputs and outputs.
        self._forward_hooks = convolution._forward_hooks
        self._forward_pre_hooks = convolution._forward_pre_hooks
        self.back: tuple[Tensor, Geometry] | None = None
        geometry = _of_gradient(convolution)
        if geometry is not None:
            with torch.no_grad():
                made = convolution.forward(torch.zeros(shape, dtype=convolution.weight.dtype))
            flipped = _flipped(convolution.weight, convolution.groups)
            self.back = _pack(flipped, geometry, list(made.shape)), geometry

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled() and x.requires_grad:
            return _Convolution.apply(x, self)  # type: ignore[no-any-return]
        return self.convolve(x)

    def convolve(self, x: Tensor) -> Tensor:
        """Compute the convolution: (B, in_channels, H, W) -> (B, out_channels, H', W')."""
        return _convolve(x, self.packed, self.plain.bias, self.geometry)

    def gradient(self, x: Tensor, grad: Tensor) -> Tensor:
        """Return the gradient for the input `x`, given the gradient `grad` for the output."""
        if self.back is not None:
            packed, geometry = self.back
            return _convolve(grad, packed, None, geometry)
        padding, stride, dilation, groups = self.geometry
        found: Tensor = torch.ops.aten.convolution_backward.default(
            grad, x, self.plain.weight, None, stride, padding, dilation,
            False, [0, 0], groups, [True, False, False],
        )[0]  # fmt: skip
        return found


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, convolution: PackedConv2d) -> Tensor:
        ctx.convolution = convolution
        # The gradient needs only the input's shape and layout, not its values.
        ctx.x = x.detach()
        return convolution.convolve(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return ctx.convolution.gradient(ctx.x, grad), None


# Padding, stride, dilation and groups, as the operators expect them.
Geometry = tuple[list[int], list[int], list[int], int]


def _geometry(convolution: nn.Conv2d) -> Geometry:
    assert not isinstance(convolution.padding, str)
    return (
        list(convolution.padding), list(convolution.stride), list(convolution.dilation),
        convolution.groups,
    )  # fmt: skip


def _of_gradient(convolution: nn.Conv2d) -> Geometry | None:
    """Return the geometry of the convolution that computes the gradient, None if none does."""
    padding, stride, dilation, groups = _geometry(convolution)
    around = [
        step * (size - 1) - pad
        for step, size, pad in zip(dilation, convolution.kernel_size, padding, strict=True)
    ]
    if max(stride) > 1 or min(around) < 0:
        return None
    return around, stride, dilation, groups


def _flipped(weight: Tensor, groups: int) -> Tensor:
    """Return the gradient's kernels: turned by 180 degrees, inputs and outputs exchanged."""
    outputs, inputs, *size = weight.shape
    parts = weight.detach().view(groups, outputs // groups, inputs, *size)
    return parts.transpose(1, 2).flip(3, 4).flatten(0, 1).contiguous()


def _pack(weight: Tensor, geometry: Geometry, shape: list[int]) -> Tensor:
    padding, stride, dilation, groups = geometry
    opaque = weight.detach().contiguous().to_mkldnn()
    made: Tensor = torch.ops.aten.mkldnn_reorder_conv2d_weight.default(
        opaque, padding, stride, dilation, groups, shape
    )
    return made


def _convolve(x: Tensor, packed: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
    made: Tensor = torch.ops.mkldnn._convolution_pointwise.default(
        x, packed, bias, *geometry, "none", [], ""
    )
    return made
