"""CUDA graphs: padding and the memory that replays share, imitated on the CPU; real on a card."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from robustbench_mix.attacks import registry
from robustbench_mix.config import protocols
from robustbench_mix.config.epsilon import parse_grid
from robustbench_mix.evaluation import fast, search_model
from robustbench_mix.evaluation.harness import Settings
from robustbench_mix.models import cuda_graphs
from robustbench_mix.models.cuda_graphs import GraphedModel, with_cuda_graphs
from robustbench_mix.models.equality import COARSE_TOLERANCE, outputs_agree
from robustbench_mix.models.given import adapt

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def network() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 5)
    return nn.Sequential(*layers).requires_grad_(False).eval()


def images(count: int, seed: int = 1) -> Tensor:
    return torch.rand(count, 3, 6, 6, generator=torch.Generator().manual_seed(seed))


def imitation(net: Callable[[Tensor], Tensor], sample: tuple[Tensor]) -> Callable[[Tensor], Tensor]:
    """Like a graph: one fixed memory each for the images, the logits and the gradient."""
    kept = sample[0]
    with torch.enable_grad():
        logits = net(kept).detach()
    gradient = torch.zeros_like(kept)

    class Replay(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            kept.data.copy_(x)
            with torch.enable_grad():
                ctx.made = net(kept)
            logits.copy_(ctx.made.detach())
            return logits.detach()

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> Tensor:
            (made,) = torch.autograd.grad(ctx.made, kept, grad)
            gradient.copy_(made)
            return gradient.detach()

    return Replay.apply


def answers(net: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    x = x.clone().requires_grad_()
    logits = net(x)
    (gradient,) = torch.autograd.grad(logits[:, 0].sum(), x)
    return logits.detach(), gradient


def test_a_replay_gives_the_networks_logits_and_gradients_at_every_size() -> None:
    net = network()
    replayed = GraphedModel(net, imitation)
    for count in (1, 2, 3, 5, 8, 7):
        for mine, expected in zip(
            answers(replayed, images(count)), answers(net, images(count)), strict=True
        ):
            assert mine.shape == expected.shape
            assert torch.allclose(mine, expected, atol=1e-6)
    assert sorted(shape[0] for shape in replayed.graphs) == [1, 2, 4, 8]


def test_what_a_replay_returned_outlives_the_next_one() -> None:
    net = network()
    replayed = GraphedModel(net, imitation)
    logits, gradient = answers(replayed, images(3))
    with torch.no_grad():
        quiet = replayed(images(4, seed=3))
    answers(replayed, images(4, seed=2))
    expected = answers(net, images(3))
    assert torch.allclose(logits, expected[0], atol=1e-6)
    assert torch.allclose(gradient, expected[1], atol=1e-6)
    assert torch.allclose(quiet, net(images(4, seed=3)), atol=1e-6)


def test_a_network_that_cannot_be_captured_runs_as_it_is() -> None:
    def refuse(net: object, sample: object) -> None:
        raise RuntimeError("operation not permitted when stream is capturing")

    net = network()
    replayed = GraphedModel(net, refuse)
    assert torch.equal(replayed(images(3)), net(images(3)))
    assert not replayed.works


def test_a_large_batch_is_not_captured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_graphs, "MAX_BATCH", 4)
    replayed = GraphedModel(network(), imitation)
    replayed(images(5))
    assert not replayed.graphs
    replayed(images(4))
    assert replayed.graphs


def test_networks_that_remember_or_differ_do_not_agree() -> None:
    class Frozen(nn.Module):
        """Always answers as at its first call, as a graph of Python-side state would."""

        def __init__(self) -> None:
            super().__init__()
            self.net, self.first = network(), images(8)

        def forward(self, x: Tensor) -> Tensor:
            return self.net(self.first[: len(x)] + 0 * x)  # type: ignore[no-any-return]

    net = network()
    assert outputs_agree(net, GraphedModel(net, imitation), images(8), COARSE_TOLERANCE)
    assert not outputs_agree(net, Frozen(), images(8), COARSE_TOLERANCE)


def test_only_a_card_has_graphs() -> None:
    net = network()
    assert with_cuda_graphs(net, images(2)) is net


@needs_cuda
def test_a_real_graph_agrees() -> None:
    net = network().cuda()
    replayed = with_cuda_graphs(net, images(8).cuda())
    assert isinstance(replayed, GraphedModel)
    for count in (1, 3, 8, 200):
        x = images(count).cuda()
        for mine, expected in zip(answers(replayed, x), answers(net, x), strict=True):
            assert torch.allclose(mine, expected, atol=1e-4)


@needs_cuda
def test_a_network_that_waits_for_the_card_is_left_as_it_is() -> None:
    class Waits(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = network()

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x) * (1 if float(x.sum()) > 0 else 2)  # type: ignore[no-any-return]

    net = Waits().cuda()
    assert with_cuda_graphs(net, images(8).cuda()) is net


@pytest.mark.default
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_replays_change_no_verdict(
    linear_case: Any, norm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AutoAttack on float64, through replays that share their memory and without."""
    model, split = linear_case(10)
    model = adapt(model.double(), split.pixels(0, 2))
    grid = ["0.005", "0.01", "0.02"] if norm == "linf" else ["0.05", "0.1"]
    protocol = replace(protocols.load("autoattack", ""), norm=norm, eps=parse_grid(grid, norm))
    stages = registry.fast_stages("autoattack", 10, {"steps": 20, "queries": 40})

    def levels() -> list[int]:
        settings = Settings(0, torch.device("cpu"), 16)
        state = fast.search_all(model, split, protocol, stages, settings)
        return state.level

    plain = levels()
    replays = []

    def replaying(net: nn.Module, x: Tensor) -> nn.Module:
        replays.append(GraphedModel(net, imitation))
        return replays[-1]

    monkeypatch.setattr(search_model, "with_cuda_graphs", replaying)
    assert levels() == plain
    assert len(replays[0].graphs) > 2
