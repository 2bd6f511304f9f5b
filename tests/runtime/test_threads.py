"""The number of threads: chosen by the clock for attacks, fixed for training."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import nn

from robustbench_mix.attacks.counted_model import CountedModel
from robustbench_mix.config.model import ModelSpec
from robustbench_mix.config.training import recipe_for
from robustbench_mix.data import loaders
from robustbench_mix.models import factory
from robustbench_mix.models.checkpoint import weights_hash
from robustbench_mix.runtime.devices import TRAINING_THREADS, compute_environment, training_threads
from robustbench_mix.runtime.threads import (
    INTERVAL_SECONDS,
    ThreadTuner,
    _gradient_step,
    thread_counts,
    tune_threads,
)
from robustbench_mix.training.classifier import train

pytestmark = pytest.mark.quick
CPU = torch.device("cpu")
IMAGES = torch.rand(2, 3, 2, 2, generator=torch.Generator())


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    """The number of threads is what it was."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


class Machine:
    """A clock, and a step whose seconds depend on the number of threads."""

    def __init__(self, seconds: dict[int, float]) -> None:
        self.seconds, self.now, self.steps = seconds, 0.0, 0

    def clock(self) -> float:
        return self.now

    def step(self, x: torch.Tensor) -> None:
        self.steps += 1
        self.now += self.seconds[torch.get_num_threads()]


def test_candidates_are_halves() -> None:
    """From all threads down to one."""
    assert [thread_counts(most) for most in (0, 1, 2, 6, 16)] == [
        [1], [1], [2, 1], [6, 3, 1], [16, 8, 4, 2, 1],
    ]  # fmt: skip


def test_an_attack_on_one_thread_of_two() -> None:
    """The target asks before each forward pass, also of a part of the batch."""
    torch.set_num_threads(2)
    target = CountedModel(nn.Sequential(nn.Flatten(), nn.Linear(12, 3)).requires_grad_(False))
    asked = []
    with tune_threads(target):
        target.before_pass = lambda x: asked.append(len(x))
        target(IMAGES)
        target.take(torch.tensor([True, False]))(IMAGES[:1])
    assert asked == [2, 1]


def test_the_fastest_is_taken_and_asked_for_again() -> None:
    """A neighbour that comes and goes changes the choice, not more often than now and then."""
    machine = Machine({4: 0.1, 2: 0.2, 1: 0.4})
    choose = ThreadTuner(machine.step, 4, machine.clock)
    choose(IMAGES)
    assert torch.get_num_threads() == 4
    machine.seconds = {4: 2.0, 2: 0.6, 1: 0.4}
    steps = machine.steps
    choose(IMAGES)
    assert (torch.get_num_threads(), machine.steps) == (4, steps)  # not yet
    machine.now = choose.due
    choose(IMAGES)
    assert torch.get_num_threads() == 1
    # Choosing took twelve seconds here: the next time is far enough away to be cheap.
    assert choose.due - machine.now == pytest.approx(12 / 0.02)
    machine.seconds = {4: 0.1, 2: 0.2, 1: 0.4}
    machine.now = choose.due
    choose(IMAGES)
    assert torch.get_num_threads() == 4
    assert choose.due - machine.now == pytest.approx(max(INTERVAL_SECONDS, 2.8 / 0.02))


def test_one_thread_leaves_no_choice() -> None:
    """Nothing is timed."""
    machine = Machine({1: 1.0})
    ThreadTuner(machine.step, 1, machine.clock)(IMAGES)
    assert machine.steps == 0


def test_choosing_leaves_no_trace() -> None:
    """Threads, gradients, flags and random numbers are as before."""
    torch.set_num_threads(2)
    net = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(12, 3)).requires_grad_(False)
    target = CountedModel(net)
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    with tune_threads(target):
        assert target.before_pass is not None
        target.before_pass(IMAGES)
    assert target.before_pass is None
    assert torch.equal(torch.rand(2), expected)
    assert torch.get_num_threads() == 2
    assert all(p.grad is None for p in net.parameters())


def test_a_network_without_gradients_has_a_choice_too() -> None:
    """Its forward pass is timed."""
    torch.set_num_threads(2)

    class Cut(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.detach().flatten(1)

    choice = ThreadTuner(partial(_gradient_step, CountedModel(Cut())), 2)
    choice(IMAGES)
    assert choice.due > time.perf_counter() + INTERVAL_SECONDS / 2


@pytest.mark.parametrize("spatial", ["learned", "frozen"])
def test_threads_do_not_change_the_weights(spatial: str) -> None:
    """One thread and two: the same weights and accuracy, bit for bit, and the number put back."""
    digits = loaders.load("digits")
    some = replace(digits, train=digits.train.take(torch.arange(256)))
    recipe = replace(recipe_for("resnet", "digits"), epochs=1)
    found = set()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        model = factory.build(
            ModelSpec("resnet14_w4", spatial), factory.Shape(1, 8, 10), *digits.statistics()
        )
        trained = train(model, some.train, digits.test, recipe, 0, CPU)
        assert torch.get_num_threads() == threads
        found.add((weights_hash(model), trained.test_accuracy))
    assert len(found) == 1


def test_a_training_says_how_many_threads_it_had() -> None:
    """Not how many there were."""
    torch.set_num_threads(2)
    with training_threads(CPU):
        assert compute_environment(CPU)["device"] == f"cpu (threads: {TRAINING_THREADS})"
    assert compute_environment(CPU)["device"] == "cpu (threads: 2)"
