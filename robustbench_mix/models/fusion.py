"""Make a cheaper network that computes the same function, for attacks to search on.

Separable convolutions are composed, norms are folded into the convolution before them, and a
convolution over a map with fewer positions than its kernel has taps becomes a matrix, which is
smaller there. Each change is exact up to rounding. It is kept only if the logits of the given
images agree, and the whole only if logits and gradients of other images agree too.
`convert_to_bfloat16` also rounds the convolutions to bfloat16.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from robustbench_mix.models.equality import (
    COARSE_TOLERANCE,
    EXACT_TOLERANCE,
    is_in_train_mode,
    nearly_equal,
    outputs_agree,
)
from robustbench_mix.models.separable import compose
from robustbench_mix.runtime.progress import report_if_slow

Change = Callable[[nn.Module], nn.Module]


@torch.no_grad()
def simplify(model: nn.Module, x: Tensor) -> nn.Module:
    """Return a cheaper copy of a model, or the model itself if there is none that is equal.

    Args:
        model: The model in eval mode, (B, C, H, W) -> (B, classes).
        x: Images on the model's device; the copy works only for their height and width.
    """
    if is_in_train_mode(model):  # a part that stays in it
        return model
    with report_if_slow("looking for the cheapest network that computes the same"):
        cheapest = model
        for change in (
            compose,
            partial(_fold_norms, x=x),
            partial(_shrink_convolutions, x=x),
            _flatten_norms,
        ):
            cheapest = _keep_if_equal(cheapest, x, change, EXACT_TOLERANCE)
        return cheapest if _is_believed(model, cheapest, x, EXACT_TOLERANCE) else model


@torch.no_grad()
def convert_to_bfloat16(model: nn.Module, x: Tensor) -> nn.Module | None:
    """Return a copy whose convolutions, except the first, run in bfloat16.

    Norms and head stay in float32. The copy is for searching only: the original decides whether an
    image is adversarial.

    Returns:
        The copy; None if it cannot be run, or its logits or gradients are too far from the model's.
    """
    halved = _keep_if_equal(model, x, _to_bfloat16_model, COARSE_TOLERANCE)
    is_believed = halved is not model and _is_believed(model, halved, x, COARSE_TOLERANCE)
    return halved if is_believed else None


def _keep_if_equal(model: nn.Module, x: Tensor, change: Change, tolerance: float) -> nn.Module:
    """Return a changed copy if its logits are those of the model, else the model."""
    try:
        changed = change(copy.deepcopy(model)).requires_grad_(False)
        before, after = model(x), changed(x)
        return changed if nearly_equal(before, after, tolerance) else model
    except Exception:  # a network that cannot be copied or rebuilt is searched as it is
        return model


def _is_believed(model: nn.Module, copied: nn.Module, x: Tensor, tolerance: float) -> bool:
    """Return whether a copy computes the same as its model, on other images than it was made of."""
    try:
        return copied is model or outputs_agree(model, copied, x, tolerance)
    except Exception:  # whatever it is, the model itself is searched, and reports it
        return False


def _fold_norms(model: nn.Module, x: Tensor) -> nn.Module:
    """Fold each batch norm whose only input is one convolution into that convolution."""
    made: dict[int, tuple[nn.Conv2d, Tensor]] = {}
    pairs: list[tuple[nn.Conv2d, nn.Module]] = []

    def after_convolution(module: nn.Module, _: object, made_here: Tensor) -> None:
        assert isinstance(module, nn.Conv2d)
        made[id(made_here)] = (module, made_here)  # kept alive, so that the id stays unique

    def before_norm(module: nn.Module, given: tuple[Tensor]) -> None:
        if id(given[0]) in made:
            pairs.append((made[id(given[0])][0], module))

    hooks = [
        module.register_forward_hook(after_convolution)
        if type(module) is nn.Conv2d
        else module.register_forward_pre_hook(before_norm)
        for module in model.modules()
        if type(module) is nn.Conv2d or _has_statistics(module)
    ]
    model(x[:2])
    for hook in hooks:
        hook.remove()
    uses = Counter(id(module) for pair in pairs for module in pair)
    for convolution, norm in pairs:
        if uses[id(convolution)] == uses[id(norm)] == 1:
            # A shortcut may use the convolution's output too, so the change must be tested.
            folded = fuse_conv_bn_eval(convolution, norm)  # type: ignore[arg-type]
            change = {convolution: folded, norm: nn.Identity()}
            before = model(x[:2])
            replace_modules(model, change)
            if not nearly_equal(before, model(x[:2]), EXACT_TOLERANCE):
                replace_modules(model, {new: old for old, new in change.items()})
    return model


def _flatten_norms(model: nn.Module) -> nn.Module:
    """Replace the remaining norms by the affine maps that they are in eval mode."""
    for norm in filter(_has_statistics, list(model.modules())):
        assert isinstance(norm, nn.BatchNorm2d)
        replace_modules(model, {norm: Affine(norm)})
    return model


def _has_statistics(module: nn.Module) -> bool:
    """Return whether a module is a batch norm with statistics of its own, not of the batch."""
    return type(module) is nn.BatchNorm2d and module.running_mean is not None


class Affine(nn.Module):
    """Batch norm in eval mode: a multiplication and an addition per channel, (B, C, H, W).

    Its gradient is one multiplication, while that of a norm also sums over the batch.
    """

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        mean, variance = norm.running_mean, norm.running_var
        assert mean is not None
        assert variance is not None
        scale = (variance + norm.eps).rsqrt()
        if norm.weight is not None:
            scale = scale * norm.weight
        shift = -mean * scale if norm.bias is None else norm.bias - mean * scale
        self.scale = nn.Parameter(scale[None, :, None, None].detach())
        self.shift = nn.Parameter(shift[None, :, None, None].detach())

    def forward(self, x: Tensor) -> Tensor:
        return torch.addcmul(self.shift, x, self.scale)


def _shrink_convolutions(model: nn.Module, x: Tensor) -> nn.Module:
    """Replace convolutions over maps with fewer positions than taps by matrices."""
    seen: list[tuple[nn.Conv2d, tuple[int, int]]] = []

    def watch(module: nn.Module, given: tuple[Tensor]) -> None:
        assert isinstance(module, nn.Conv2d)
        seen.append((module, (given[0].shape[2], given[0].shape[3])))

    hooks = [
        module.register_forward_pre_hook(watch)
        for module in model.modules()
        if type(module) is nn.Conv2d and module.groups == 1 and max(module.kernel_size) > 1
    ]
    model(x[:2])
    for hook in hooks:
        hook.remove()
    uses = Counter(id(module) for module, _ in seen)
    for convolution, (height, width) in seen:
        taps = convolution.kernel_size[0] * convolution.kernel_size[1]
        if height * width < taps and uses[id(convolution)] == 1:
            replace_modules(model, {convolution: MapLinear(convolution, height, width)})
    return model


class MapLinear(nn.Module):
    """A convolution over maps of one small size, computed as a matrix product.

    (B, in_channels, height, width) -> (B, out_channels, height', width'), both channels_last.
    """

    def __init__(self, convolution: nn.Conv2d, height: int, width: int) -> None:
        super().__init__()
        weight = convolution.weight
        size = convolution.in_channels * height * width
        units = torch.eye(size, dtype=weight.dtype, device=weight.device)
        units = units.view(size, height, width, convolution.in_channels).permute(0, 3, 1, 2)
        response = nn.functional.conv2d(
            units, weight, None, convolution.stride, convolution.padding, convolution.dilation
        )
        self.out_shape = (response.shape[2], response.shape[3], response.shape[1])
        matrix = response.permute(0, 2, 3, 1).flatten(1).T.contiguous()
        self.weight = nn.Parameter(matrix)
        bias = convolution.bias
        positions = self.out_shape[0] * self.out_shape[1]
        self.bias = None if bias is None else nn.Parameter(bias.repeat(positions))

    def forward(self, x: Tensor) -> Tensor:
        flat = nn.functional.linear(x.permute(0, 2, 3, 1).flatten(1), self.weight, self.bias)
        return flat.view(len(x), *self.out_shape).permute(0, 3, 1, 2)


def _to_bfloat16_model(model: nn.Module) -> nn.Module:
    convolutions = [m for m in model.modules() if type(m) in (nn.Conv2d, MapLinear)]
    # Not the first convolution: rounding pixels to 8 bits would lose half a grey level.
    for module in convolutions[:1]:
        module.register_forward_hook(_from_float32)
    for module in convolutions[1:]:
        module.to(torch.bfloat16).register_forward_pre_hook(_to_bfloat16)
    for module in model.modules():
        if type(module) is Affine:
            module.to(torch.bfloat16)
        if type(module) is nn.Linear:
            module.register_forward_pre_hook(_to_float32)
    return model


def _to_bfloat16(_: nn.Module, given: tuple[Tensor]) -> Tensor:
    return given[0].bfloat16()


def _from_float32(_: nn.Module, __: tuple[Tensor], made: Tensor) -> Tensor:
    return made.bfloat16()


def _to_float32(_: nn.Module, given: tuple[Tensor]) -> Tensor:
    return given[0].float()


def replace_modules(model: nn.Module, change: dict[nn.Module, nn.Module]) -> None:
    """Replace modules of `model` in place, wherever they occur.

    Args:
        model: The model.
        change: The new module for each old one.
    """
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if child in change:
                setattr(parent, name, change[child].train(child.training))
