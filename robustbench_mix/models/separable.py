"""Separable convolutions, and replacing dense convolutions by them."""

from __future__ import annotations

import copy
from contextlib import nullcontext
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from robustbench_mix.models.mixers import owns_weight, patch_embedding

# A multiplication in two steps takes longer, because the wide intermediate result goes through
# memory: 4 to 8 times as long in a step of resnet14 with multiplier 1 or 2 (batch 128,
# channels_last, float32 and bfloat16, one thread).
MAX_COMPOSED_COST = 4
ALL = slice(None)


class SeparableConv2d(nn.Module):
    """A k x k depthwise convolution with depth multiplier d, then a 1x1 pointwise one.

    Nothing stands between the two, so together they are one dense convolution whose kernel is the
    pointwise-weighted sum of the depthwise filters. `forward` runs that composed convolution if it
    is faster (`runs_composed`). It computes the same function, not an approximation.

    Shapes: (B, in_channels, H, W) -> (B, out_channels, H', W'), as `nn.Conv2d`.
    `multiplier` defaults to the number of positions in the kernel (d = k^2), which gives
    the pointwise part as many weights as the dense convolution has.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = False,
        multiplier: int | None = None,
        padding_mode: str = "zeros",
    ) -> None:
        super().__init__()
        height, width = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
        self.shell: Any = None
        self.multiplier = multiplier or height * width
        self.groups = groups
        self.depthwise = nn.Conv2d(
            in_channels,
            in_channels * self.multiplier,
            (height, width),
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=in_channels,
            bias=False,
            padding_mode=padding_mode,  # type: ignore[arg-type]
        )
        self.pointwise = nn.Conv2d(
            in_channels * self.multiplier, out_channels, 1, groups=groups, bias=bias
        )

    @property
    def runs_composed(self) -> bool:
        """Whether the composed kernel runs, because it is faster.

        It is faster if it takes at most `MAX_COMPOSED_COST` times the multiplications of two steps.
        """
        if self.shell is not None:
            return True
        taps = self.depthwise.kernel_size[0] * self.depthwise.kernel_size[1]
        fan_out = self.pointwise.out_channels // self.groups
        two_steps = self.multiplier * (taps + fan_out)
        return (
            self.depthwise.padding_mode == "zeros"
            and fan_out * taps <= MAX_COMPOSED_COST * two_steps
        )

    def composed_weight(self, rows: slice = ALL, columns: slice = ALL) -> Tensor:
        """Compose the kernel of the equal dense convolution.

        Args:
            rows: The rows of the kernel to compose.
            columns: The columns of the kernel to compose.

        Returns:
            The kernel, (out_channels, in_channels / groups, rows, columns).
        """
        fan_in = self.depthwise.in_channels // self.groups
        fan_out = self.pointwise.out_channels // self.groups
        taps = self.depthwise.weight[:, :, rows, columns]
        kernel = taps.shape[2:]
        filters = taps.reshape(self.groups, fan_in, self.multiplier, kernel[0] * kernel[1])
        mixing = self.pointwise.weight.reshape(self.groups, fan_out, fan_in, self.multiplier)
        # In the weights' own precision, also under autocast: the sum is short and cheap.
        kind = filters.device.type
        autocast = torch.amp.is_autocast_available(kind)  # not on the meta device
        with torch.autocast(kind, enabled=False) if autocast else nullcontext():
            weight = torch.matmul(mixing.transpose(1, 2), filters)
        if weight.requires_grad:
            # If it is not contiguous, the gradient is computed one small matrix at a time.
            weight.register_hook(torch.Tensor.contiguous)  # type: ignore[no-untyped-call]
        return weight.transpose(1, 2).reshape(self.groups * fan_out, fan_in, *kernel)

    def forward(self, x: Tensor) -> Tensor:
        if self.shell is not None:
            # Set for this call only, so that copies and checkpoints hold no graph.
            self.shell.weight, self.shell.bias = self.composed_weight(), self.pointwise.bias
            try:
                z: Tensor = self.shell(x)
            finally:
                del self.shell.weight, self.shell.bias
            return z
        if self.runs_composed:
            rows, columns, padding = self._taps_on_map(x.shape[2], x.shape[3])
            return F.conv2d(
                x,
                self.composed_weight(rows, columns),
                self.pointwise.bias,
                self.depthwise.stride,
                padding,
                self.depthwise.dilation,
                self.groups,
            )
        return self.two_step(x)

    def _taps_on_map(self, height: int, width: int) -> tuple[slice, slice, Any]:
        """Return the rows and columns of the kernel that meet such a map, and the padding left."""
        conv = self.depthwise
        if isinstance(conv.padding, str):
            return ALL, ALL, conv.padding
        (rows, above), (columns, left) = (
            taps_within(size, *axis)
            for size, *axis in zip(
                (height, width), conv.kernel_size, conv.stride, conv.padding, conv.dilation,
                strict=True,
            )
        )  # fmt: skip
        return rows, columns, (above, left)

    def two_step(self, x: Tensor) -> Tensor:
        """Compute the same function as the paper does: depthwise, then pointwise."""
        y: Tensor = self.pointwise(self.depthwise(x))
        return y

    def to_dense(self) -> nn.Conv2d:
        """Return the equal dense convolution, with detached weights."""
        if self.shell is not None:
            dense: nn.Conv2d = copy.deepcopy(self.shell)
            bias = self.pointwise.bias
            dense.weight = nn.Parameter(self.composed_weight().detach())
            dense.bias = None if bias is None else nn.Parameter(bias.detach().clone())
            return dense
        # Initial weights would change the caller's random state.
        conv: nn.Conv2d = nn.utils.skip_init(  # type: ignore[no-untyped-call]
            nn.Conv2d,
            self.depthwise.in_channels,
            self.pointwise.out_channels,
            self.depthwise.kernel_size,
            self.depthwise.stride,
            self.depthwise.padding,
            self.depthwise.dilation,
            self.groups,
            bias=self.pointwise.bias is not None,
            device=self.pointwise.weight.device,
            dtype=self.pointwise.weight.dtype,
        )
        weight = self.composed_weight().detach()
        with torch.no_grad():
            conv.weight.copy_(weight)
            if conv.bias is not None and self.pointwise.bias is not None:
                conv.bias.copy_(self.pointwise.bias)
        return conv


@cache
def taps_within(
    size: int, kernel: int, stride: int, padding: int, dilation: int
) -> tuple[slice, int]:
    """Find the taps of a kernel that meet a map of `size` positions, along one axis.

    The other taps only meet the padding: of 3 taps over one position only the middle one counts.

    Args:
        size: Number of positions of the map.
        kernel: Number of taps.
        stride: Stride of the convolution.
        padding: Padding on each side, in positions.
        dilation: Distance between taps, in positions.

    Returns:
        The taps, and the padding with which they alone compute the same convolution.
    """
    count = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    met = [
        tap
        for tap in range(kernel)
        if any(0 <= at * stride + tap * dilation - padding < size for at in range(count))
    ]
    if met:
        first, last = met[0], met[-1]
        left = padding - first * dilation
        if left >= 0 and (size + 2 * left - dilation * (last - first) - 1) // stride + 1 == count:
            return slice(first, last + 1), left
    return ALL, padding


def is_dense_spatial(module: nn.Module) -> bool:
    """Return whether a module is a convolution that mixes both positions and channels."""
    return (
        isinstance(module, nn.Conv2d)
        and hasattr(module, "weight")  # false for a module that is given its kernel for each call
        and max(module.kernel_size) > 1
        and (module.groups < module.in_channels or module.in_channels == 1)
    )


def separate(model: nn.Module, multiplier: int | None = None) -> nn.Module:
    """Replace every dense spatial convolution in `model` by a separable one, in place.

    It works on any network of `nn.Conv2d`. Grouped convolutions keep their groups in the pointwise
    part. A patch embedding stays as it is, and so does a convolution whose weight is computed from
    other parameters. New weights are drawn from PyTorch's default distribution, the one that fits
    the filters shown in the paper. A subclass of `nn.Conv2d`, which may pad or standardise in its
    own way, keeps its forward pass and is given the composed kernel.

    Args:
        model: The network.
        multiplier: Depth multiplier of the depthwise parts; k^2 unless given.

    Returns:
        The same network.
    """
    embedding = patch_embedding(model)
    made: dict[nn.Module, SeparableConv2d] = {}  # a layer that is used twice stays one layer
    for parent in list(model.modules()):
        if isinstance(parent, SeparableConv2d):
            continue
        for name, child in list(parent._modules.items()):
            if child is embedding or not (isinstance(child, nn.Conv2d) and is_dense_spatial(child)):
                continue
            if owns_weight(child):
                if child not in made:
                    made[child] = _make_separable(child, multiplier)
                setattr(parent, name, made[child])
    return model


def _make_separable(conv: nn.Conv2d, multiplier: int | None) -> SeparableConv2d:
    separable = SeparableConv2d(
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size,  # type: ignore[arg-type]
        conv.stride,  # type: ignore[arg-type]
        conv.padding,  # type: ignore[arg-type]
        conv.dilation,  # type: ignore[arg-type]
        conv.groups,
        conv.bias is not None,
        multiplier,
        conv.padding_mode,
    )
    if type(conv) is not nn.Conv2d:
        del conv.weight, conv.bias
        separable.shell = conv
    return separable


def compose(model: nn.Module) -> nn.Module:
    """Replace every separable convolution whose composed kernel runs by the dense one, in place."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, SeparableConv2d) and child.runs_composed:
                setattr(parent, name, child.to_dense().train(child.training))
    return model
