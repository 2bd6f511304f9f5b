"""The audited estimate: its sample, its bound, and what follows when an image of it falls."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import asdict, replace

import pytest
import torch
from torch import nn

from robustbench_mix.attacks import registry
from robustbench_mix.attacks.base import Stage
from robustbench_mix.config import protocols
from robustbench_mix.config.epsilon import parse_grid
from robustbench_mix.evaluation.fast import search_all
from robustbench_mix.evaluation.harness import Settings
from robustbench_mix.evaluation.sample_audit import (
    STRATA,
    bound_of,
    draw_sample,
    findings,
    is_due,
    rows_to_audit,
)
from robustbench_mix.evaluation.state import State
from robustbench_mix.models.given import adapt

CPU = torch.device("cpu")
OPTIONS = {"steps": 10, "queries": 20, "targets": 2, "bound": 0.2}


@pytest.fixture
def _without_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Conclusions are not checked: it would cost passes that a test counts."""
    monkeypatch.setattr("robustbench_mix.evaluation.fast_plan.ONE_IN", 10**9)


def search(model, split, stages, state=None, *, batch_size=16, save=None):
    """The fast schedule over three epsilons around the images' distances."""
    protocol = protocols.load("autoattack-audited", "")
    protocol = replace(protocol, eps=parse_grid(["0.005", "0.01", "0.02"], "linf"))
    settings = Settings(0, CPU, batch_size, save=save)
    return search_all(model, split, protocol, stages, settings, state)


def standing(make_state: Callable, cheap: list[int], n: int = 0) -> State:
    """A state at the end of the cheap stages, the nearest images first; 0 fell everywhere."""
    n = n or len(cheap)
    cheap = [*cheap, *[0] * (n - len(cheap))]
    return make_state(
        n, levels=3, level=cheap[:], cheap=[level or -1 for level in cheap],
        reached=[(row + 1) / n for row in range(n)],
    )  # fmt: skip


def let_fall(state: State, defects: set[int]) -> None:
    """Break what the whole ensemble would break of the images that meet it, to the end."""
    while met := {row for row in rows_to_audit(state) & defects if state.level[row]}:
        for row in met:
            state.level[row] = 0


def test_the_sample_is_as_large_as_the_bound_needs(make_state: Callable) -> None:
    """At no epsilon more than 2 points are in doubt, and not much less."""
    state = standing(make_state, [1] * 190 + [2] * 350 + [3] * 116, n=1000)
    assert is_due(state)
    draw_sample(state, list(range(1000)), 0.02, seed=0)
    assert not is_due(state)
    found = findings(state, 3)
    assert all(0.017 < one.bound <= 0.02 for one in found)
    assert 86 <= found[0].sampled <= 92
    strata = found[0].strata
    assert strata is not None
    assert [one.standing for one in strata] == [20, 111, 525]
    assert all(0.12 < one.sampled / one.standing < 0.19 for one in strata)


def test_a_sample_follows_from_seed_and_image(make_state: Callable) -> None:
    """The same again; another with another seed; the order of the images does not matter."""
    drawn = []
    for seed, index in ((0, range(60)), (0, range(60)), (1, range(60)), (0, range(59, -1, -1))):
        state = standing(make_state, [3] * 60)
        if index[0]:
            state.reached = state.reached[::-1]
        draw_sample(state, list(index), 0.1, seed)
        drawn.append({index[row] for row in range(60) if state.sampled[row]})
    assert drawn[0] == drawn[1] == drawn[3] != drawn[2]


def test_nothing_is_drawn_before_the_cheap_stages_are_over(make_state: Callable) -> None:
    """Each image that is classified correctly has fallen everywhere, or waits."""
    state = make_state(3, level=[3, 0, 3], cheap=[3, -1, -1], correct=[True, True, False])
    assert is_due(state)
    state.correct[2] = True
    assert not is_due(state)
    everybody = standing(make_state, [3] * 10)
    draw_sample(everybody, list(range(10)), 0.05, seed=0)  # not even one image may be in doubt
    assert rows_to_audit(everybody) == set(range(10))
    assert [one.bound for one in findings(everybody, 3)] == [0, 0, 0]


@pytest.mark.parametrize(
    ("fallen", "full"),
    [([0], 1), ([0, 0], 1), ([1], 2), ([0, 1], 2), ([1, 1], 3), ([2], 3), ([0, 2], 3)],
)
def test_a_hit_is_followed_up(make_state: Callable, fallen: list[int], full: int) -> None:
    """In its stratum and all nearer ones; the second far one, or the farthest, means everywhere."""
    state = standing(make_state, [3] * 200)
    draw_sample(state, list(range(200)), 0.02, seed=0)
    sample = [row for row in range(200) if state.sampled[row]]
    assert rows_to_audit(state) == set(sample)
    before = findings(state, 3)
    for stratum in fallen:
        row = next(r for r in sample if state.stratum[r] == stratum and state.level[r] == 3)
        state.level[row] = 1
    expected = {row for row in range(200) if state.sampled[row] or state.stratum[row] < full}
    assert rows_to_audit(state) == expected
    found = findings(state, 3)
    assert [one.broken for one in found] == [0, len(fallen), len(fallen)]
    assert all((one.bound == 0) == (full == STRATA) for one in found)
    # Nothing is in doubt any more in what is attacked in full.
    assert all(one.bound <= other.bound for one, other in zip(found, before, strict=True))


@pytest.mark.parametrize(
    ("far", "middle", "near"), [(7, 0, 0), (4, 3, 0), (1, 2, 2), (0, 6, 1), (0, 0, 2), (20, 9, 2)]
)
def test_the_bound_holds_as_often_as_it_says(
    make_state: Callable, far: int, middle: int, near: int
) -> None:
    """Wherever the images are that only the whole ensemble breaks, in 95 % of all samples."""
    n, rounds = 60, 300
    cheap = [1 + row % 3 for row in range(n)]
    order = random.Random(0)
    ranges = ((near, range(2)), (middle, range(2, 12)), (far, range(12, n)))
    defects = {row for count, rows in ranges for row in order.sample(rows, count)}
    misses = [0, 0, 0]
    for seed in range(rounds):
        state = standing(make_state, cheap)
        draw_sample(state, list(range(n)), 0.1, seed)
        let_fall(state, defects)
        for at, one in enumerate(findings(state, 3)):
            left = sum(state.level[row] > at for row in defects)
            misses[at] += left > one.bound * n + 1e-9
    # 5 % of 300, and what chance adds to that in one of a thousand cases.
    assert max(misses) <= 28


@pytest.mark.usefixtures("_without_checks")
def test_the_ensemble_is_for_a_sample(linear_case) -> None:
    """Every image meets the first pass, a sample AutoAttack; one linear network has no others."""
    model, split = linear_case(10, n=40)
    stages = registry.fast_stages("autoattack-audited", 10, OPTIONS)
    assert [stage.bound for stage in stages] == [0, 0.2, 0.2, 0.2, 0.2]
    assert bound_of(stages) == 0.2
    state = search(model, split, stages)
    assert state.level == search(model, split, stages[:1]).level
    sampled = [row for row in range(40) if state.sampled[row]]
    found = findings(state, 3)
    assert found[0].sampled == len(sampled) < sum(level > 0 for level in state.level)
    assert [one.broken for one in found] == [0, 0, 0]
    assert 0 < max(one.bound for one in found) <= 0.2
    assert state.passes["apgd-ce"]["gradient"] == 11 * len(sampled)
    assert state.passes["square"]["forward"] <= (OPTIONS["queries"] + 2) * len(sampled)


def test_without_a_sample_there_is_no_audit(linear_case) -> None:
    """Plain ensembles ask for none."""
    model, split = linear_case(10, n=12)
    stages = registry.fast_stages("autoattack", 10, {"steps": 5, "queries": 5, "targets": 2})
    assert bound_of(stages) == 0
    state = search(model, split, stages)
    assert state.stratum == [-1] * 12
    assert not any(state.sampled)


class Misled(torch.autograd.Function):
    """Pass the images on, and give their gradient with the wrong sign."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return -grad


class Masked(nn.Module):
    """A network whose gradients lead away from the boundary: only random search breaks it."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(Misled.apply(x))


def test_a_network_that_fools_the_first_pass_is_attacked_in_full(linear_case) -> None:
    """The sample finds out, and the answer is that of the whole ensemble."""
    model, split = linear_case(10, n=16)
    masked = Masked(model)
    options = {**OPTIONS, "steps": 5, "queries": 200, "bound": 0.3}
    stages = registry.fast_stages("autoattack-audited", 10, options)
    state = search(masked, split, stages)
    full = search(masked, split, [replace(stage, bound=0.0) for stage in stages[1:]])
    fooled = search(masked, split, stages[:1])
    assert sum(a != b for a, b in zip(fooled.level, full.level, strict=True)) > 8
    assert state.level == full.level
    assert rows_to_audit(state) == {row for row in range(16) if state.cheap[row] >= 0}
    assert [one.bound for one in findings(state, 3)] == [0, 0, 0]


def test_an_audit_does_not_depend_on_batches_or_interruptions(linear_case) -> None:
    """The sample waits for all images, and a resumed run draws the same."""
    model, split = linear_case(10, n=20)
    model = adapt(model.double(), split.pixels(0, 2))
    stages = registry.fast_stages("autoattack-audited", 10, OPTIONS)
    saved: list[dict] = []
    whole = search(model, split, stages, save=lambda state: saved.append(asdict(state)))
    small = search(model, split, stages, batch_size=3)
    assert (small.level, small.sampled, small.stratum) == (
        whole.level, whole.sampled, whole.stratum,
    )  # fmt: skip
    expected = repr({**asdict(whole), "attack_seconds": 0})
    assert len(saved) > 5
    for state in saved[::3]:
        resumed = search(model, split, stages, State(**state))
        assert repr({**asdict(resumed), "attack_seconds": 0}) == expected


def test_a_first_pass_that_does_nothing_leads_to_the_full_run(linear_case) -> None:
    """Any stage may come first; where it breaks nothing, the sample soon tells."""
    model, split = linear_case(10, n=40)
    real = registry.fast_stages("autoattack", 10, {"steps": 20, "queries": 20, "targets": 2})
    idle = Stage("idle", lambda model, batch: batch.x)
    state = search(model, split, [idle, replace(real[1], bound=0.05)])
    assert state.level == search(model, split, [idle, real[1]]).level
    found = findings(state, 3)
    assert sum(one.broken for one in found) > 0
    assert all(one.bound == 0 for one in found)
