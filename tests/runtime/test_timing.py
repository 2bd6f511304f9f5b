"""Times of single steps, and of two jobs in alternation."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from robustbench_mix.runtime import timing

CPU = torch.device("cpu")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of a clock that stands still unless a job moves it."""
    now = [50.0]
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])
    return now


def test_a_call_gives_its_seconds_and_its_result(clock: list[float]) -> None:
    """What passed before it does not count."""

    def job() -> str:
        clock[0] += 3
        return "done"

    assert timing.time_call(job, CPU) == (3, "done")
    assert timing.time_call(lambda: None, CPU) == (0, None)


def test_two_jobs_take_turns(clock: list[float]) -> None:
    """Slow first in every repetition, each divided by the fast one beside it."""
    order = []

    def job(name: str, seconds: list[float]) -> str:
        order.append(name)
        clock[0] += seconds.pop(0)
        return f"{name}, {len(seconds)} left"

    slow, fast = [4.0, 6.0], [2.0, 1.0]
    found = timing.time_ratios(lambda: job("slow", slow), lambda: job("fast", fast), 2, CPU)
    assert found == ([2, 6], "slow, 0 left", "fast, 0 left")
    assert order == ["slow", "fast"] * 2
    assert timing.time_ratios(lambda: 1, lambda: 1, 0, CPU) == ([], None, None)


def test_a_gradient_step_asks_for_the_gradient_of_the_images_alone() -> None:
    """One forward pass; parameters and images keep no gradient."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    given = []

    def logits(x: torch.Tensor) -> torch.Tensor:
        given.append(x)
        return model(x)

    x, y = torch.rand(2, 1, 2, 2), torch.tensor([0, 2])
    timing.gradient_step(logits, x, y)()
    (point,) = given
    assert point.requires_grad
    assert torch.equal(point, x)
    assert not x.requires_grad
    assert all(p.grad is None for p in model.parameters())


def test_a_training_step_moves_what_is_not_frozen() -> None:
    """In training mode, downhill."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.Dropout(0.0)).eval()
    model[1].bias.requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    x, y = torch.rand(2, 1, 2, 2), torch.tensor([0, 2])
    loss = nn.functional.cross_entropy(model(x), y)
    step = timing.training_step(model, x, y)
    assert model.training
    step()
    assert torch.equal(model[1].bias, before["1.bias"])
    assert not torch.equal(model[1].weight, before["1.weight"])
    assert nn.functional.cross_entropy(model(x), y) < loss


def test_a_training_step_perturbs_its_images_anew() -> None:
    """What is trained on is what was made of the images, once in each step."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    x, y = torch.rand(2, 1, 2, 2), torch.tensor([0, 2])
    seen: list[torch.Tensor] = []
    model.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    step = timing.training_step(model, x, y, lambda clean: clean + len(seen) + 1)
    step(), step()
    assert torch.equal(torch.stack(seen), torch.stack([x + 1, x + 2]))
