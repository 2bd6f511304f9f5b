"""A compiled copy for forward passes: only where it pays, and only where it agrees."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from robustbench_mix.attacks.base import Batch
from robustbench_mix.attacks.counted_model import CountedModel
from robustbench_mix.attacks.native import ensembles
from robustbench_mix.attacks.passes import Count
from robustbench_mix.config.model import ModelSpec
from robustbench_mix.evaluation import compiled_model
from robustbench_mix.evaluation.compiled_model import (
    CHUNK,
    Chunked,
    ForwardOnly,
    compile_ahead,
    compile_model,
)
from robustbench_mix.evaluation.search_model import search_model
from robustbench_mix.models import factory
from robustbench_mix.models.equality import EXACT_TOLERANCE

LONG = Count(1e12)


class Net(nn.Module):
    """A small network that counts how many images it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(27, 4))
        self.requires_grad_(False)
        self.seen = 0

    def forward(self, x: Tensor) -> Tensor:
        self.seen += len(x)
        logits: Tensor = self.net(x)
        return logits


def same(net: nn.Module, chunk: Tensor) -> Callable[[Tensor], Tensor]:
    """A compiler that gives the network itself, for its one size of batch."""

    def program(x: Tensor) -> Tensor:
        assert x.shape == chunk.shape
        assert x.stride() == chunk.stride()
        logits: Tensor = net(x)
        return logits

    return program


def other(net: nn.Module, chunk: Tensor) -> Callable[[Tensor], Tensor]:
    """One whose logits are a little off."""
    return lambda x: net(x) * 1.01


def failing(net: nn.Module, chunk: Tensor) -> Callable[[Tensor], Tensor]:
    """One that cannot."""
    raise RuntimeError("no such kernel")


def one_batch_only(net: nn.Module, chunk: Tensor) -> Callable[[Tensor], Tensor]:
    """One that remembers the logits of the images it was made with."""
    return lambda x: net(chunk)


@pytest.mark.quick
@pytest.mark.parametrize("size", [0, 1, CHUNK // 2 - 1, CHUNK // 2, CHUNK, 2 * CHUNK + 3])
def test_every_size_gives_the_logits_of_the_network(size: int) -> None:
    """Whole chunks and large rests take the program, small rests the network."""
    net, x = Net(), torch.rand(size, 2, 5, 5)
    made = Chunked(net, same(net.net, torch.rand(CHUNK, 2, 5, 5)), torch.rand(CHUNK, 2, 5, 5))
    with torch.no_grad():
        logits = made(x)
        in_network = net.seen
        assert torch.allclose(logits, net(x), atol=1e-6)
    rest = size % CHUNK
    assert in_network == (rest if rest < CHUNK // 2 else 0)


@pytest.mark.quick
def test_gradients_come_from_the_network() -> None:
    """A compiled program has none."""
    net, x = Net(), torch.rand(CHUNK, 2, 5, 5, requires_grad=True)
    chunk = torch.rand(CHUNK, 2, 5, 5)
    Chunked(net, failing_program, chunk)(x).sum().backward()
    assert x.grad is not None


def failing_program(x: Tensor) -> Tensor:
    """Nobody is to ask it."""
    raise AssertionError


@pytest.mark.quick
@pytest.mark.parametrize("compile_", [other, failing, one_batch_only])
def test_what_goes_wrong_means_the_network(compile_) -> None:
    """A compiler that fails, or a program that differs on any images."""
    x = torch.rand(8, 2, 5, 5)
    assert compile_model(Net(), x, EXACT_TOLERANCE, compile_) is None
    assert isinstance(compile_model(Net(), x, EXACT_TOLERANCE, same), Chunked)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("passes", "images", "wanted"),
    [
        (LONG, 1000, True),
        (Count(5000), 4, False),
        (LONG._replace(gradient=1.0), 1000, False),
        (Count(0), 1000, False),
    ],
)
def test_it_is_lent_where_it_pays(monkeypatch, passes: Count, images: int, wanted: bool) -> None:
    """For many passes without a gradient; the model has its network back afterwards."""
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    net = Net()
    counted = CountedModel(net)
    forward_only = ForwardOnly(counted, torch.rand(8, 2, 5, 5), images, same)
    with forward_only.lend(passes):
        assert isinstance(counted.net, Chunked) is wanted
    assert counted.net is net


@pytest.mark.quick
def test_without_a_compiler_nothing_is_compiled(monkeypatch) -> None:
    """Nor asked for."""
    monkeypatch.setattr(shutil, "which", lambda name: None)
    counted = CountedModel(Net())
    with ForwardOnly(counted, torch.rand(8, 2, 5, 5), 1000, failing).lend(LONG):
        assert isinstance(counted.net, Net)


@pytest.mark.quick
def test_square_finds_the_same_on_it(monkeypatch, linear_case) -> None:
    """The attack on the lent copy returns what it returns on the network."""
    monkeypatch.setattr(compiled_model, "WORTH", 0.0)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    model, split = linear_case(10, n=40)
    (stage,) = ensembles.autoattack_stages(10, components=["square"], queries=60)
    x, y, eps = split.pixels(), split.labels, torch.full((40,), 0.02)
    batch = Batch(x, y, eps, torch.arange(40), "linf")
    passes = stage.passes(x, "linf")
    assert passes is not None
    counted = CountedModel(model.requires_grad_(False))
    plain = stage.attack(counted, batch)
    with ForwardOnly(counted, x[:8], 40, same).lend(passes):
        assert isinstance(counted.net, Chunked)
        lent = stage.attack(counted, batch)
    assert torch.equal(lent, plain)
    assert (lent != x).any()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
@pytest.mark.parametrize("exact", [True, False])
def test_the_compiler_gives_the_same_logits(exact: bool) -> None:
    """The real one, on a network as attacks search it, with one thread and two."""
    model = factory.build(
        ModelSpec("resnet14_w4", "frozen"), factory.Shape(3, 8, 10), torch.zeros(3), torch.ones(3)
    )
    model = model.to(memory_format=torch.channels_last).eval().requires_grad_(False)
    x = torch.rand(8, 3, 8, 8)
    counted = search_model(model, x, exact=exact)
    made = compile_model(counted.net, x, EXACT_TOLERANCE if exact else 0.1, compile_ahead)
    assert made is not None
    before = torch.get_num_threads()
    try:
        with torch.no_grad():
            batch = torch.rand(CHUNK, 3, 8, 8)
            torch.set_num_threads(1)
            one = made(batch)
            torch.set_num_threads(2)
            assert torch.equal(made(batch), one)
            assert torch.allclose(one, counted.net(batch), atol=1e-5 if exact else 0.1)
    finally:
        torch.set_num_threads(before)
