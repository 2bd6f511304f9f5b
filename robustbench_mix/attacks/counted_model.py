"""The model as attacks see it: its passes are counted, and what it cannot do is refused."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from robustbench_mix.attacks.passes import PassCounter
from robustbench_mix.errors import FOREIGN, RbmixError, first_line, is_out_of_memory
from robustbench_mix.models.outputs import check_logits

STEEP = 1e10  # a component of a gradient that is infinite


class CountedModel(nn.Module):
    """Wrap a network for attacks: counted, and never silently broken.

    Takes pixels (B, C, H, W) float32 in [0, 1] and returns logits (B, classes) float32, as the
    network itself does (`models.given`). Attack libraries reshape gradients with `.view` and
    so need them contiguous, while our networks run faster in channels_last: the layout
    changes inside. Logits that are not finite raise RbmixError, at once on the CPU and at
    `check_finite` elsewhere, because libraries take a NaN for a correct answer. So does an input
    gradient that is undefined, which PyTorch may present as zero, and whatever the network raises.
    A gradient of NaN is one of zero.

    Args:
        net: The network, pixels to logits.
        judge: The exact model that decides what is misclassified, where `net` is a coarser copy
            of it (bfloat16); None where `net` decides itself.
        doubt: The judge decides if the margin is below this share of the spread of an image's
            logits.
        images: Number of images in the batch whose passes are counted.
        capacity: Largest number of images, or copies of some, that a batch should have.

    Attributes:
        passes: The counter of passes, shared with the judge.
        images: Positions in the batch of the images that are passed, (n,) int64.
        on_pass: Called with the counter after each pass.
        before_pass: Called with the images before each forward pass.
    """

    def __init__(
        self,
        net: nn.Module,
        judge: CountedModel | None = None,
        doubt: float = 0.0,
        images: int = 0,
        capacity: int = 256,
    ) -> None:
        super().__init__()
        self.net = net
        self.capacity = capacity
        self.on_pass: Callable[[PassCounter], None] | None = None
        self.before_pass: Callable[[Tensor], None] | None = None
        self.judge = judge
        self.doubt = doubt
        fast = getattr(net, "channels_last", False)
        self.memory_format = torch.channels_last if fast else torch.contiguous_format
        self.reset_passes(images)

    def reset_passes(self, images: int) -> None:
        """Reset the counter to zero, for a batch of `images` images."""
        self.passes = PassCounter(images, self.on_pass)
        self.images = torch.arange(images)
        if self.judge is not None:
            self.judge.passes = self.passes

    def take(self, keep: Tensor) -> CountedModel:
        """Return the same model for some images of the batch.

        Args:
            keep: Which images, (images,) bool or (n,) int64 positions.
        """
        packed = copy.copy(self)
        if len(self.images):
            packed.images = self.images[keep.cpu()]
        return packed

    def take_judge(self, keep: Tensor) -> CountedModel:
        """Return the judge for some images of the batch, to attack it; `keep` is as in `take`."""
        assert self.judge is not None
        packed = copy.copy(self.judge)
        packed.images = self.take(keep).images
        return packed

    @torch.no_grad()
    def judge_misclassifies(self, x: Tensor, y: Tensor, which: Tensor) -> Tensor:
        """Ask the judge whether it misclassifies perturbed images.

        Args:
            x: Perturbed images, (n, C, H, W).
            y: Their labels, (n,) int64.
            which: Their positions in the batch, (n,) int64.

        Returns:
            Whether each is misclassified, (n,) bool.
        """
        assert self.judge is not None
        if len(self.images):
            self.judge.images = self.images[which.cpu()]
        return self.judge(x).argmax(1) != y  # type: ignore[no-any-return]

    def check_finite(self) -> None:
        """Raise RbmixError if any logits since the last check were not finite."""
        if not bool(self.passes.finite):
            raise RbmixError(
                "the model returned logits that are not finite (NaN or infinite); "
                "no robust accuracy can be given for it"
            )

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (B, classes) float32 of images (B, C, H, W), and count the pass."""
        if self.before_pass is not None:
            self.before_pass(x)
        self.passes.add(0, len(x), self.images)
        given = _Layout.apply(x, self.memory_format, self.passes, self.images)
        logits = check_logits(self.ask(given), len(x))
        if torch.is_grad_enabled() and x.requires_grad:
            if not logits.requires_grad:
                raise undefined_gradient()
            logits = _Join.apply(logits, given)
        finite = logits.isfinite().all()
        if x.device.type == "cpu":
            self.passes.finite = finite
            self.check_finite()
        else:
            # A check here would make the host wait; the engine checks after each attack.
            self.passes.finite = self.passes.finite.to(x.device) & finite
        return logits.float()  # a coarser copy may end in bfloat16

    def ask(self, x: Tensor) -> Tensor:
        """Return the network's logits for any images, uncounted and unchecked.

        Raises:
            RbmixError: The network raises an error, whatever it is, unless memory runs out.
        """
        try:
            return self.net(x)  # type: ignore[no-any-return]
        except FOREIGN as error:
            if isinstance(error, RbmixError) or is_out_of_memory(error):
                raise
            raise RbmixError(
                f"the network failed on {len(x)} images of shape {tuple(x.shape[1:])} "
                f"({type(error).__name__}: {first_line(error)})"
            ) from error


def undefined_gradient() -> RbmixError:
    """Return the error for a model whose input gradient is undefined, which is not a zero one."""
    return RbmixError(
        "no gradient flows from the model's logits to its input (detached, rounded to integers or "
        "not differentiable); no gradient-based attack says anything about it"
    )


def gradient_of(value: Tensor, point: Tensor, *, keep_graph: bool = False) -> Tensor:
    """Return the gradient of a value for the images that it was computed from.

    Args:
        value: A scalar, computed from `point` through a `CountedModel`.
        point: Images, (B, C, H, W), that require a gradient.
        keep_graph: Whether another gradient of the same pass follows.

    Raises:
        RbmixError: The gradient is undefined, or the network fails while it is computed.
    """
    try:
        (gradient,) = torch.autograd.grad(value, point, retain_graph=keep_graph)
    except FOREIGN as error:
        if isinstance(error, RbmixError) or is_out_of_memory(error):
            raise
        raise RbmixError(
            f"the network has no input gradient ({type(error).__name__}: {first_line(error, 300)})"
        ) from error
    return gradient


class _Layout(torch.autograd.Function):
    """Forward in the network's memory format, backward contiguous; counts gradients."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, memory_format: torch.memory_format, passes: PassCounter, images: Tensor
    ) -> Tensor:
        ctx.passes, ctx.images = passes, images
        ctx.set_materialize_grads(False)
        return x.contiguous(memory_format=memory_format)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor, None, None, None]:
        if grads[0] is None:
            raise undefined_gradient()
        ctx.passes.add(1, len(grads[0]), ctx.images)
        # No attack can follow NaN; the diagnostics see that such an image has no gradient.
        gradient = torch.nan_to_num(grads[0], nan=0.0, posinf=STEEP, neginf=-STEEP)
        return gradient.contiguous(), None, None, None


class _Join(torch.autograd.Function):
    """Tie logits to the images, which so receive a gradient in any case: an undefined one, if none.

    Without it a gradient that never reaches the images would be an error of PyTorch's own.
    """

    @staticmethod
    def forward(_ctx: Any, logits: Tensor, _x: Tensor) -> Tensor:
        return logits.view_as(logits)

    @staticmethod
    def backward(_ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0], None
