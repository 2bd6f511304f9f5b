"""What an attack sees of a network, and what it is."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from robustbench_mix.attacks.passes import Count
from robustbench_mix.errors import RbmixError
from robustbench_mix.runtime.progress import progress_bar

T = TypeVar("T")


class Passes:
    """Image passes spent: one per image and forward pass, one per image and gradient.

    `each` holds the same per image, (2, images) int64 on the CPU, as far as it is known
    which image a pass was for: libraries pack their batches themselves. `on_pass` is called
    with the passes whenever there are more.
    """

    def __init__(self, images: int = 0, on_pass: Callable[[Passes], None] | None = None) -> None:
        self.on_pass = on_pass
        self.forward = 0
        self.gradient = 0
        self.each = torch.zeros(2, images, dtype=torch.int64)
        self.finite = torch.ones((), dtype=torch.bool)

    def add(self, kind: int, count: int, images: Tensor) -> None:
        """Count one pass of a kind (0 forward, 1 gradient) for each of `count` images."""
        if kind == 0:
            self.forward += count
        else:
            self.gradient += count
        if len(images) == count:
            # An image may be there more than once, aiming at several classes.
            self.each[kind].index_add_(0, images, torch.ones_like(images))
        if self.on_pass is not None:
            self.on_pass(self)


class Target(nn.Module):
    """A network as attacks and the judge see it: counted, contiguous, never silently broken.

    Takes float32 pixels (B, C, H, W) and returns float32 logits (B, classes), whatever
    precision the network itself has. Attack libraries reshape gradients with `.view` and
    so need them contiguous, while our networks run faster in channels_last: the layout
    changes inside. Logits that are not finite raise RbmixError, at once on the CPU and at
    `check_finite` elsewhere, because libraries take a NaN for a correct answer.

    A network that is searched may be coarser than the one that is judged. Then `judge` is
    the latter, and its verdict is wanted wherever the margin found here is below `doubt`,
    a share of the spread of an image's logits. `capacity` is how many images, or copies of
    some, should be in a batch at most. `on_pass` is called after each pass (`Passes`),
    `before_pass` with the images before each forward pass.
    """

    def __init__(
        self,
        net: nn.Module,
        judge: Target | None = None,
        doubt: float = 0.0,
        images: int = 0,
        capacity: int = 256,
    ) -> None:
        super().__init__()
        self.net = net
        self.capacity = capacity
        self.on_pass: Callable[[Passes], None] | None = None
        self.before_pass: Callable[[Tensor], None] | None = None
        self.judge = judge
        self.doubt = doubt
        fast = getattr(net, "channels_last", False)
        self.format = torch.channels_last if fast else torch.contiguous_format
        floats = (p.dtype for p in net.parameters() if p.is_floating_point())
        self.dtype = next(floats, torch.float32)
        self.count_for(images)

    def count_for(self, images: int) -> None:
        """Start counting for a batch of so many images."""
        self.passes = Passes(images, self.on_pass)
        self.images = torch.arange(images)
        if self.judge is not None:
            self.judge.passes = self.passes

    def take(self, keep: Tensor) -> Target:
        """The same network for some images of the batch, `keep` (images,) bool or positions."""
        packed = copy.copy(self)
        if len(self.images):
            packed.images = self.images[keep.cpu()]
        return packed

    def exact(self, keep: Tensor) -> Target:
        """The judge, to be searched itself, for some images of the batch as `take`."""
        assert self.judge is not None
        packed = copy.copy(self.judge)
        packed.images = self.take(keep).images
        return packed

    @torch.no_grad()
    def misclassified(self, x: Tensor, y: Tensor, which: Tensor) -> Tensor:
        """The judge's verdict on points of the images `which`, positions in the batch."""
        assert self.judge is not None
        if len(self.images):
            self.judge.images = self.images[which.cpu()]
        return self.judge(x).argmax(1) != y  # type: ignore[no-any-return]

    def check_finite(self) -> None:
        """Raises RbmixError if any logits since the last check were not finite."""
        if not bool(self.passes.finite):
            raise RbmixError(
                "the model returned logits that are not finite (NaN or infinite); "
                "no robust accuracy can be given for it"
            )

    def forward(self, x: Tensor) -> Tensor:
        if self.before_pass is not None:
            self.before_pass(x)
        self.passes.add(0, len(x), self.images)
        given = _Layout.apply(x, self.format, self.passes, self.images)
        logits: Tensor = self.net(given.to(self.dtype))
        if logits.ndim != 2 or len(logits) != len(x):
            raise RbmixError(
                f"the model returned shape {tuple(logits.shape)} for {len(x)} images "
                "(needs one row of logits per image)"
            )
        if torch.is_grad_enabled() and x.requires_grad and not logits.requires_grad:
            raise RbmixError(
                "no gradient flows from the model's logits to its input (detached, or not "
                "differentiable); no gradient-based attack says anything about it"
            )
        finite = logits.isfinite().all()
        if x.device.type == "cpu":
            self.passes.finite = finite
            self.check_finite()
        else:
            # Asking now would make the host wait: the harness does after each attack.
            self.passes.finite = self.passes.finite.to(x.device) & finite
        return logits.float()


@contextmanager
def shown(description: str, expected: Count, *targets: Target) -> Iterator[None]:
    """Show what passes through the targets within the block, of about so many passes."""

    def work() -> float:
        return sum(Count(one.passes.forward, one.passes.gradient).work for one in targets)

    before, about = work(), expected.work
    with progress_bar(description, about) as update:

        def tell(_: Passes) -> None:
            done = work() - before
            update(done, total=max(about, 1.01 * done))

        for target in targets:
            target.passes.on_pass = tell
        yield
        for target in targets:
            target.passes.on_pass = target.on_pass
        update(work() - before, total=work() - before)


class _Layout(torch.autograd.Function):
    """Forward in the network's memory format, backward contiguous; counts gradients."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, memory_format: torch.memory_format, passes: Passes, images: Tensor
    ) -> Tensor:
        ctx.passes, ctx.images = passes, images
        return x.contiguous(memory_format=memory_format)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        ctx.passes.add(1, len(grads[0]), ctx.images)
        return grads[0].contiguous(), None, None, None


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


# About the passes of an attack on an image that withstands it, None if nobody knows: from
# images like x (B, C, H, W) and the norm.
PassesOf = Callable[[Tensor, str], Count | None]


def untold(x: Tensor, norm: str) -> Count | None:
    """What is known of an attack that does not tell."""
    return None


def always(passes: Count) -> PassesOf:
    """The same for all images and norms."""
    return lambda _x, _norm: passes


@dataclass(frozen=True)
class Component:
    """A named attack of an algorithm; `tells` if it says which image each pass was for.

    `nearest` if it looks for the nearest example whatever eps is, so that one run serves a
    whole grid; `norm` is the only one it searches in, '' if it takes any. `passes` are those of
    an image that withstands it.
    """

    name: str
    attack: Attack = field(compare=False)
    tells: bool = False
    nearest: bool = False
    norm: str = ""
    passes: PassesOf = field(default=untold, compare=False)


def check_norm(components: list[Component], norm: str) -> None:
    """Raise RbmixError if a component searches in another norm than this one."""
    for component in components:
        if component.norm not in ("", norm):
            raise RbmixError(
                f"attack {component.name!r} searches in {component.norm}, the protocol in {norm}"
            )


def at_least_one(option: str, value: Any, most: int = 10**6) -> int:
    """Check a whole-number option; raises RbmixError unless it is from 1 to `most`."""
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise RbmixError(
            f"option {option} = {value!r} must be a whole number, at least 1 (allowed: up to "
            f"{most:,})"
        )
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
