"""What an attack sees of a network, and what it is."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from robustbench_mix.errors import RbmixError

T = TypeVar("T")


@dataclass
class Passes:
    """Image passes spent: one per image and forward pass, one per image and gradient."""

    forward: int = 0
    gradient: int = 0


class Target(nn.Module):
    """A network as attacks and the judge see it: counted, contiguous, never silently broken.

    Takes float32 pixels (B, C, H, W) and returns float32 logits (B, classes), whatever
    precision the network itself has. Attack libraries reshape gradients with `.view` and
    so need them contiguous, while our networks run faster in channels_last: the layout
    changes inside. Logits that are not finite raise RbmixError, because libraries take a
    NaN for a correct answer.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        fast = getattr(net, "channels_last", False)
        self.format = torch.channels_last if fast else torch.contiguous_format
        floats = (p.dtype for p in net.parameters() if p.is_floating_point())
        self.dtype = next(floats, torch.float32)
        self.passes = Passes()

    def forward(self, x: Tensor) -> Tensor:
        self.passes.forward += len(x)
        logits: Tensor = self.net(_Layout.apply(x, self.format, self.passes).to(self.dtype))
        if logits.ndim != 2 or len(logits) != len(x):
            raise RbmixError(
                f"the model returned shape {tuple(logits.shape)} for {len(x)} images "
                "(needs one row of logits per image)"
            )
        if not bool(logits.isfinite().all()):
            raise RbmixError(
                "the model returned logits that are not finite (NaN or infinite); "
                "no robust accuracy can be given for it"
            )
        return logits.float()


class _Layout(torch.autograd.Function):
    """Forward in the network's memory format, backward contiguous; counts gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, memory_format: torch.memory_format, passes: Passes) -> Tensor:
        ctx.passes = passes
        return x.contiguous(memory_format=memory_format)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        ctx.passes.gradient += len(grads[0])
        return grads[0].contiguous(), None, None


class Attack(Protocol):
    """x, x_adv: (B, C, H, W) in [0, 1]; y: (B,) int64; index: the images' names."""

    def __call__(
        self,
        target: Target,
        x: Tensor,
        y: Tensor,
        *,
        eps: float,
        norm: str,
        index: list[int],
        seed: int,
    ) -> Tensor: ...


@dataclass(frozen=True)
class Component:
    """A named attack of an algorithm."""

    name: str
    attack: Attack = field(compare=False)


def at_least_one(option: str, value: Any) -> int:
    """Check a whole-number option; raises RbmixError unless it is 1 or more."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise RbmixError(f"option {option} = {value!r} must be a whole number, at least 1")
    return value


def call_with_options(
    make: Callable[..., list[T]], algorithm: str, classes: int, options: dict[str, Any]
) -> list[T]:
    """Call `make(classes, **options)`; raises RbmixError for an option it does not take."""
    try:
        inspect.signature(make).bind(classes, **options)
    except TypeError as error:
        raise RbmixError(f"options of algorithm {algorithm!r}: {error}") from error
    return make(classes, **options)
