"""The model as attacks see it: counted, contiguous, and never silently broken."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from robustbench_mix.attacks.counted_model import CountedModel, gradient_of
from robustbench_mix.errors import RbmixError


def test_the_counted_model_gives_contiguous_gradients() -> None:
    """A channels_last network still hands the attack contiguous input gradients."""
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.Flatten()).to(memory_format=torch.channels_last)
    model.channels_last = True
    x = torch.rand(3, 2, 6, 5, requires_grad=True)
    counted = CountedModel(model)
    counted(x).sum().backward()
    assert x.grad.is_contiguous()
    assert (counted.passes.forward, counted.passes.gradient) == (3, 3)


def test_passes_are_counted_for_the_images_that_take_them() -> None:
    """Also where an image is there twice, and where only some of the batch are left."""
    model = CountedModel(nn.Flatten(), images=3)
    x = torch.rand(3, 1, 2, 2)
    model(x)
    model.take(torch.tensor([True, False, True]))(x[[0, 2]])
    model.take(torch.tensor([1, 1]))(x[[1, 1]])
    assert model.passes.each.tolist() == [[2, 3, 2], [0, 0, 0]]
    assert (model.passes.forward, model.passes.gradient) == (7, 0)
    model.reset_passes(2)
    assert (model.passes.forward, model.passes.each.tolist()) == (0, [[0, 0], [0, 0]])


class Around(nn.Module):
    """Logits with something wrong about their gradient; its weight has one of its own."""

    def __init__(self, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.change = change
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.weight * self.change(x).flatten(1)


class Tuple(nn.Module):
    """Logits with something beside them."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, None]:
        return x.flatten(1), None


class NoGradient(torch.autograd.Function):
    """A function that returns none."""

    @staticmethod
    def forward(_ctx, x):
        return x.clone()

    @staticmethod
    def backward(_ctx, _grad):
        return None


class Fails(torch.autograd.Function):
    """A function without a backward pass."""

    @staticmethod
    def forward(_ctx, x):
        return x.clone()

    @staticmethod
    def backward(_ctx, _grad):
        raise NotImplementedError("no derivative\nof this")


def without_gradient(x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return x * 1


def reentrant(x: torch.Tensor) -> torch.Tensor:
    return checkpoint(torch.tanh, x, use_reentrant=True)


UNDEFINED: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "detached": torch.detach,
    "no_grad": without_gradient,
    "argmax": lambda x: nn.functional.one_hot(x.flatten(1).argmax(1), 4),
    "integers": lambda x: (255 * x).to(torch.uint8).float(),
    "threshold": lambda x: (x > 0.5).float(),
    "none": NoGradient.apply,
    "NumPy": lambda x: torch.from_numpy(x.detach().numpy() * 2),
    "one of two cut": lambda x: NoGradient.apply(x) + x.detach(),
}
ZERO: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "rounded": lambda x: (7 * x).round() / 7,
    "sign": lambda x: (x - 0.5).sign(),
    "saturated": lambda x: (1e6 * x + 1e6).sigmoid(),
    "times nothing": lambda x: 0 * x + x.detach(),
}


@pytest.mark.parametrize("name", UNDEFINED)
@pytest.mark.parametrize("trained", [True, False])
def test_an_undefined_gradient_is_refused(name: str, trained: bool) -> None:
    """Also where something else in the network has one: nothing takes it for a zero."""
    model = CountedModel(Around(UNDEFINED[name]).requires_grad_(trained))
    x = torch.rand(2, 1, 2, 2).requires_grad_()
    with pytest.raises(RbmixError, match="no gradient flows"):
        gradient_of(model(x).sum(), x)
    with torch.no_grad():
        assert model(x).shape == (2, 4)  # an attack without gradients says something


@pytest.mark.parametrize("name", ZERO)
def test_a_gradient_of_zero_is_one(name: str) -> None:
    """Which the diagnostics flag."""
    x = torch.rand(2, 1, 2, 2).requires_grad_()
    gradient = gradient_of(CountedModel(Around(ZERO[name]))(x).sum(), x)
    assert not bool(gradient.any())


class Spoiled(torch.autograd.Function):
    """Images that stay, with a gradient that is partly NaN and infinite."""

    @staticmethod
    def forward(_ctx, x):
        return x.clone()

    @staticmethod
    def backward(_ctx, grad):
        grad = grad.clone()
        grad[:, :, 0, 0], grad[:, :, 0, 1], grad[:, :, 1, 0] = torch.nan, torch.inf, -torch.inf
        return grad


def test_a_gradient_of_nan_is_one_of_zero() -> None:
    """Nothing else of it is lost, and what is infinite has a direction."""
    x = torch.rand(2, 1, 2, 2).requires_grad_()
    gradient = gradient_of(CountedModel(Around(Spoiled.apply))(x).sum(), x)
    assert gradient[:, 0].tolist() == 2 * [[[0.0, 1e10], [-1e10, 1.0]]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (Fails.apply, r"no input gradient \(NotImplementedError: no derivative\)"),
        (reentrant, r"no input gradient \(RuntimeError: .*use_reentrant=False"),
    ],
)
@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
def test_a_backward_pass_that_fails_is_told_in_one_line(change, message: str) -> None:
    """With what the network, or PyTorch, says."""
    x = torch.rand(2, 1, 2, 2).requires_grad_()
    loss = CountedModel(Around(change))(x).sum()
    with pytest.raises(RbmixError, match=message):
        gradient_of(loss, x)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Sequential(nn.Flatten(), nn.LogSoftmax(0), nn.Threshold(9.0, torch.nan)), "not finite"),
        (nn.Identity(), "needs one row of logits per image"),
        (Around(torch.detach).requires_grad_(False), "no gradient flows"),
        (Around(lambda _: sys.exit("usage: net.py")), r"failed on 2 .*\(SystemExit: usage: net.py"),
        (Tuple(), "returns a tuple"),
        (nn.Linear(3, 2), r"failed on 2 images of shape \(1, 2, 2\) \(RuntimeError: mat1 and mat2"),
    ],
)
def test_a_broken_model_is_named(model: nn.Module, message: str) -> None:
    """An error, so that nothing takes it for a correct answer."""
    with pytest.raises(RbmixError, match=message):
        CountedModel(model)(torch.rand(2, 1, 2, 2).requires_grad_())


def test_memory_that_runs_out_is_another_error() -> None:
    """Which the engine answers with a smaller batch."""

    def fails(_: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("CUDA out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        CountedModel(Around(fails))(torch.rand(2, 1, 2, 2))
