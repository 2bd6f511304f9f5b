"""Count the multiply-adds of a network for one image, from the shapes of one forward pass.

Convolutions and linear layers are counted; attention, norms, activations and pooling are not. The
network may be on the meta device. `torch.utils.flop_counter` gives the same counts, but takes two
seconds to import, which `rbmix describe` would wait for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from robustbench_mix.data.shape import Shape, run_on_blank_image
from robustbench_mix.models.separable import SeparableConv2d


@dataclass(frozen=True)
class SeparableCost:
    """Multiply-adds of a separable convolution for one image, in both forms.

    Args:
        name: Its name in the network.
        composed: Multiply-adds of the equal dense convolution.
        two_step: Multiply-adds of the depthwise and the pointwise convolution.
        composing: Multiply-adds of composing the dense kernel, once per batch.
        runs: The form that runs: `composed` or `two-step`.
    """

    name: str
    composed: int
    two_step: int
    composing: int
    runs: str

    @property
    def as_it_runs(self) -> int:
        """Multiply-adds of the form that runs."""
        return self.composed if self.runs == "composed" else self.two_step


@dataclass(frozen=True)
class OperationCounts:
    """Multiply-adds of a network for one image.

    Args:
        separable: Multiply-adds of each separable convolution.
        rest: Multiply-adds of all other layers together.
        on_maps: The linear layers that receive more than one vector per image.
    """

    separable: list[SeparableCost]
    rest: int
    on_maps: set[nn.Module]


def count_multiply_adds(model: nn.Module, shape: Shape) -> OperationCounts:
    """Run the network, in eval mode, on one image of `shape` and count its multiply-adds."""
    separable = {m: name for name, m in model.named_modules() if isinstance(m, SeparableConv2d)}
    inside = {part for module in separable for part in module.modules()} - separable.keys()
    positions = dict.fromkeys(separable, 0)
    others: dict[nn.Module, int] = {}
    on_maps: set[nn.Module] = set()

    def look(module: Any, given: tuple[Any, ...], made: Any) -> None:
        if module in separable:
            positions[module] += made[0, 0].numel()
            return
        if isinstance(module, nn.Linear):
            met = made.numel() // module.out_features
            if made.ndim > 2:
                on_maps.add(module)
        else:  # a transposed convolution sends every input position through all of its weights
            met = (given[0] if isinstance(module, _ConvTransposeNd) else made)[0, 0].numel()
        others[module] = others.get(module, 0) + met * module.weight.numel()

    handles = [
        module.register_forward_hook(look)
        for module in model.modules()
        if module in separable or (isinstance(module, nn.Linear | _ConvNd) and module not in inside)
    ]
    try:
        run_on_blank_image(model, shape)
    finally:
        for handle in handles:
            handle.remove()
    costs = [_cost(name, module, positions[module]) for module, name in separable.items()]
    return OperationCounts(costs, sum(others.values()), on_maps)


def _cost(name: str, module: SeparableConv2d, positions: int) -> SeparableCost:
    depthwise, pointwise = module.depthwise.weight, module.pointwise.weight
    taps = depthwise[0].numel()
    fan_in = module.depthwise.in_channels // module.groups
    fan_out = module.pointwise.out_channels // module.groups
    return SeparableCost(
        name,
        composed=positions * module.pointwise.out_channels * fan_in * taps,
        two_step=positions * (depthwise.numel() + pointwise.numel()),
        composing=depthwise.numel() * fan_out,
        runs="composed" if module.runs_composed else "two-step",
    )
