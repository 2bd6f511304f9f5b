"""Whatever form a network has, it becomes a module: float32 images in, float32 logits out."""

from __future__ import annotations

import copy
import functools
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from robustbench_mix.errors import RbmixError
from robustbench_mix.models.given import (
    Adapted,
    adapt,
    as_module,
    device_of,
    networks_inside,
    precision_of,
)

JIT = pytest.mark.filterwarnings("ignore:.*torch.jit")
X = torch.rand(2, 1, 6, 6, generator=torch.Generator().manual_seed(1))


def network() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(), nn.Flatten()
    return nn.Sequential(*layers, nn.Linear(64, 3)).eval()


NET = network()


class Wrapper:
    """No module: an object that calls one."""

    def __init__(self, net: nn.Module) -> None:
        self.parts = {"net": net}

    def __call__(self, x: Tensor) -> tuple[Tensor, None]:
        return self.parts["net"](x), None

    def predict(self, x: Tensor) -> Tensor:
        return self(x)[0]


class Slotted:
    """No module, and without a dictionary of its attributes."""

    __slots__ = ("net",)

    def __init__(self, net: nn.Module) -> None:
        self.net = net

    def __call__(self, x: Tensor) -> Tensor:
        return self.net(x)


class Holder(nn.Module):
    """A module around something that is compiled."""

    def __init__(self, net: nn.Module, change: Callable[[Any], Any] = lambda z: z) -> None:
        super().__init__()
        self.net = net
        self.change = change

    def forward(self, x: Tensor) -> Any:
        return self.change(self.net(x))


def exported() -> torch.export.ExportedProgram:
    sizes = ({0: torch.export.Dim("batch", min=1, max=64)},)
    return torch.export.export(network(), (X,), dynamic_shapes=sizes)


@torch.inference_mode()
def made_in_inference_mode() -> nn.Module:
    return network()


def plus(net: nn.Module, x: Tensor, *, offset: float) -> Tensor:
    return net(x) + offset


FORMS: dict[str, Callable[[], object]] = {
    "lambda": lambda: lambda x: NET(x),
    "closure": lambda: functools.partial(plus, NET, offset=0.0),
    "object": lambda: Wrapper(NET),
    "method": lambda: Wrapper(NET).predict,
    "slots": lambda: Slotted(NET),
    "inference mode": made_in_inference_mode,
    "tuple": lambda: Holder(NET, lambda z: (z, None)),
    "mapping": lambda: Holder(NET, lambda z: {"logits": z}),
    "scripted": lambda: torch.jit.script(network()),
    "traced": lambda: torch.jit.trace(network(), X),
    "traced function": lambda: torch.jit.trace(lambda x: NET(x), X),
    "frozen": lambda: torch.jit.freeze(torch.jit.script(network())),
    "holds frozen": lambda: Holder(torch.jit.freeze(torch.jit.script(network()))),
    "program": exported,
    "exported": lambda: exported().module(),
    "holds exported": lambda: Holder(exported().module()),
    "fx": lambda: torch.fx.symbolic_trace(network()),
    "data parallel": lambda: nn.DataParallel(network()),
    "compiled": lambda: torch.compile(network()),
    "compiled function": lambda: torch.compile(lambda x: NET(x)),
    "double": lambda: network().double(),
    "double in float": lambda: Holder(network().double(), lambda z: z.float()),
    "double, scripted": lambda: torch.jit.script(network().double()),
    "double head": lambda: Holder(network(), lambda z: z.double()),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.filterwarnings("ignore:logits")
@JIT
def test_every_form_becomes_a_network(form: str) -> None:
    """With the logits and gradients of the plain one, in modes that can be set and restored."""
    net = adapt(as_module(FORMS[form]()), X)
    assert isinstance(net, nn.Module)
    modes = [module.training for module in net.modules()]
    for training in (True, False):
        assert all(module.training == training for module in net.train(training).modules())
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    found, expected = [], []
    for one, values in ((net, found), (NET, expected)):
        x = X.clone().requires_grad_()
        logits = one(x)
        assert logits.dtype == torch.float32
        values += [logits, *torch.autograd.grad(logits[:, 0].sum(), x)]
    for mine, other in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5)
    assert len(modes) >= 1


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_network_of_low_precision_takes_float32(dtype: torch.dtype) -> None:
    """And returns it: the logits are rounded, not their type."""
    net = adapt(network().to(dtype), X)
    assert net(X).dtype == torch.float32
    assert (net(X) - NET(X)).abs().max() < 0.05 * NET(X).abs().max()


@JIT
def test_weights_that_cannot_be_seen_may_have_any_precision() -> None:
    """Those of a frozen program, or of what a function asks."""
    double = network().double()
    for given in (torch.jit.freeze(torch.jit.script(double)), lambda x: remote(double, x)):
        net = adapt(as_module(given), X)
        torch.testing.assert_close(net(X), NET(X), rtol=1e-5, atol=1e-6)


def remote(net: nn.Module, x: Tensor) -> Tensor:
    if x.dtype != torch.float64:
        raise TypeError("needs float64")
    return net(x)


def test_a_pass_changes_no_buffer() -> None:
    """Such as a counter of passes."""

    class Counts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("passes", torch.zeros(()))

        def forward(self, x: Tensor) -> Tensor:
            self.passes += 1
            return NET(x)

    net = Counts()
    assert adapt(net, X) is net
    assert float(net.passes) == 0


def test_the_precision_in_words() -> None:
    """Of the parameters, whatever buffers there are."""
    assert precision_of(network()) == "float32"
    assert precision_of(nn.Flatten()) == "float32"
    assert precision_of(nn.Sequential(network(), nn.Linear(1, 1).half())) == "float16, float32"


@pytest.mark.parametrize("form", ["plain", "scripted"])
@JIT
def test_a_network_of_the_usual_kind_is_taken_as_it_is(form: str) -> None:
    """Without a wrapper, so that its weights keep their names; and nothing in it changes."""
    given = network() if form == "plain" else torch.jit.script(network())
    given.train()
    before, state = copy.deepcopy(given.state_dict()), torch.get_rng_state()
    assert adapt(as_module(given), X) is given
    assert all(module.training for module in given.modules())
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[name], t) for name, t in given.state_dict().items())


def test_images_are_not_changed_in_place() -> None:
    """By a network that normalises them where they are."""

    class InPlace(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            x -= 0.5
            return NET(x.mul_(2))

    net, x = adapt(InPlace(), X), X.clone()
    assert isinstance(net, Adapted)
    torch.testing.assert_close(net(x), NET(2 * X - 1))
    point = x.requires_grad_()
    (gradient,) = torch.autograd.grad(net(point).sum(), point)
    assert torch.equal(x, X)
    assert gradient.abs().max() > 0


def test_networks_inside_share_the_mode_of_their_callable() -> None:
    """So that dropout of a network in train mode is switched off."""
    given = network().train()
    net = as_module(Wrapper(given))
    assert networks_inside(Wrapper(given).predict) == [given]
    assert networks_inside(Slotted(given)) == [given]
    assert list(net.state_dict())
    net.eval()
    assert not given.training
    assert networks_inside(lambda x: x.mean((1, 2, 3))) == []
    assert networks_inside([0] * 2000) == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (3, "model is a int"),
        (None, "model is a NoneType"),
        (nn.Linear, "model is the class Linear"),
        ([network()], "model is a list"),
    ],
)
def test_what_cannot_be_called_is_refused(given: object, message: str) -> None:
    """With what would be taken."""
    with pytest.raises(RbmixError, match=f"{message} .needs a name, an nn.Module, or a function"):
        as_module(given)


def calls(net: nn.Module) -> Callable[[Tensor], Tensor]:
    return lambda x: net(x)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (nn.Sequential(nn.Flatten(), nn.LazyLinear(3)), "no weights 1.weight yet"),
        (nn.Sequential(nn.LazyBatchNorm2d(), nn.Flatten()), "no weights 0.weight yet"),
        (calls(nn.LazyLinear(3)), "no weights inside.0.weight yet"),
        (calls(made_in_inference_mode()), "were made in inference mode"),
    ],
)
def test_weights_that_cannot_be_used_are_refused(given: object, message: str) -> None:
    """Layers without a shape have none, and those of inference mode no gradients."""
    with pytest.raises(RbmixError, match=message):
        as_module(given)


class NoEval(nn.Module):
    """A network that refuses its modes."""

    def train(self, mode: bool = True) -> nn.Module:
        raise NotImplementedError("no modes")

    def forward(self, x: Tensor) -> Tensor:
        return NET(x)


def fails(error: BaseException) -> nn.Module:
    def change(_: Tensor) -> Tensor:
        raise error

    return Holder(NET, change)


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (
            fails(ValueError("batches of 4\nonly")),
            r"it .* \(1, 6, 6\) \(ValueError: batches of 4\)$",
        ),
        (fails(KeyError()), r"\(KeyError: KeyError\)$"),
        (fails(SystemExit("usage: net.py")), r"\(SystemExit: usage: net.py\)$"),
        (fails(AssertionError("Guard failed: x.size()[0] == 4")), r"x.size\(\)\[0\] == 4\)$"),
        (Holder(NET, lambda z: z.to(torch.complex64)), "it returns complex numbers"),
        (NoEval(), r"it cannot be put into eval mode \(NotImplementedError: no modes\)"),
        (nn.Linear(5, 2), r"mat1 and mat2 shapes .*; nn.Upsample\(5\) does"),
        (nn.Conv2d(3, 1, 3), r"but got 1 channels instead\)$"),
        (Holder(NET, Tensor.to_sparse), "it returns a tensor that is sparse"),
        (Holder(NET, lambda z: {"a": z, "b": z}), "it returns a dict with 'a', 'b'"),
    ],
)
def test_what_a_network_raises_is_told_in_one_line(net: nn.Module, message: str) -> None:
    """With a hint only where the size of the images may be the reason."""
    with pytest.raises(RbmixError, match=message):
        adapt(net, X, "it", "nn.Upsample(5) does")


def test_memory_that_runs_out_is_another_error() -> None:
    """Which its caller handles."""
    with pytest.raises(MemoryError):
        adapt(fails(MemoryError()), X)


def test_the_device_is_that_of_the_weights() -> None:
    """Or of a buffer; a network without any is on the CPU."""
    assert device_of(nn.Linear(2, 2, device="meta")).type == "meta"
    assert device_of(nn.BatchNorm2d(2, affine=False, device="meta")).type == "meta"
    assert device_of(nn.Flatten()).type == "cpu"


def test_the_trial_draws_from_no_generator_of_the_caller() -> None:
    """Of PyTorch, NumPy or Python: a network that draws finds them as they were."""

    def noisy(x: torch.Tensor) -> torch.Tensor:
        noise = random.random() + float(np.random.rand()) + float(torch.rand(()))
        return x.flatten(1)[:, :3] + noise

    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    adapt(as_module(noisy), X)
    assert random.getstate() == states[0]
    assert np.random.get_state()[1].tolist() == states[1]
    assert torch.equal(torch.get_rng_state(), states[2])
