"""Every protocol against models whose nearest adversarial example is known exactly."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from robustbench_mix.attacks import registry
from robustbench_mix.config import protocols
from robustbench_mix.config.epsilon import parse_grid
from robustbench_mix.evaluation.harness import Settings
from robustbench_mix.evaluation.reference import attack_all

CPU = torch.device("cpu")
GRID = {"linf": ["0.002", "0.005", "0.01", "0.02", "0.04"], "l2": ["0.02", "0.05", "0.1", "0.2"]}
# How far above the exact distance an attack must succeed. Ascending the cross-entropy of
# many classes does not head for the nearest one; a single signed step is the best attack
# between two classes only, and noise never is.
OPTIMAL, UNTARGETED = 1.05, 1.6


def levels(model, split, protocol) -> list[int]:
    """Run the protocol and return, per image, the position of the epsilon that broke it."""
    classes = model.weight.shape[0]
    stages = registry.reference_stages(protocol.algorithm, classes, protocol.options)
    state = attack_all(model, split, protocol, stages, Settings(0, CPU, 64))
    assert all(state.correct)
    return state.level


def check(
    case, name: str, classes: int, slack: float | None = None, options: dict | None = None
) -> None:
    """Nothing is broken below its distance, and all above `slack` times it, if given."""
    model, split = case(classes)
    protocol = protocols.load(name, "")
    protocol = replace(
        protocol,
        eps=parse_grid(GRID[protocol.norm], protocol.norm),
        options=protocol.options | (options or {}),
    )
    grid = [eps.value for eps in protocol.eps]
    distances = model.distances(split.pixels(), split.labels, protocol.norm).tolist()
    assert min(distances) < grid[-1]
    assert max(distances) > grid[0]
    for level, distance in zip(levels(model, split, protocol), distances, strict=True):
        if level < len(grid):
            assert grid[level] >= distance * (1 - 1e-6)
        if slack is not None and level > 0:
            assert grid[level - 1] < distance * slack


@pytest.mark.default
@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("name", ["pgd", "pgd-l2", "smoke"])
def test_pgd_finds_the_boundary(linear_case, name: str, classes: int) -> None:
    """PGD with its shipped options breaks exactly what can be broken."""
    check(linear_case, name, classes, OPTIMAL if classes <= 3 else UNTARGETED)


@pytest.mark.parametrize(("classes", "slack"), [(2, OPTIMAL), (10, None)])
def test_fgsm_is_exact_between_two_classes(linear_case, classes: int, slack) -> None:
    """One signed step is the best l-infinity attack on a binary linear model."""
    check(linear_case, "fgsm", classes, slack)


def test_noise_breaks_nothing_it_should_not(linear_case) -> None:
    """Random signs are sound, if weak."""
    check(linear_case, "noise", 10)


@pytest.mark.default
@pytest.mark.parametrize("classes", [2, 3, 4, 10])
@pytest.mark.parametrize("name", ["autoattack", "autoattack-l2"])
def test_autoattack_finds_the_boundary(linear_case, name: str, classes: int) -> None:
    """The ensemble, with fewer queries, works for any number of classes from two up."""
    check(linear_case, name, classes, OPTIMAL, options={"queries": 50, "steps": 40})


@pytest.mark.slow
@pytest.mark.parametrize("name", ["autoattack", "autoattack-l2"])
def test_autoattack_as_shipped(linear_case, name: str) -> None:
    """The ensemble with its standard options."""
    check(linear_case, name, 10, OPTIMAL)


@pytest.mark.parametrize("component", ["apgd-ce", "apgd-t", "fab-t", "square"])
def test_every_component_breaks_something(linear_case, component: str) -> None:
    """No component of the ensemble is a dummy: each alone breaks an easy image."""
    model, split = linear_case(10)
    protocol = replace(protocols.load("autoattack", ""), eps=parse_grid(["0.2"], "linf"))
    protocol = replace(protocol, options={"components": [component], "queries": 200})
    assert 0 in levels(model, split, protocol)


def test_norms_in_the_records_are_attained(linear_case) -> None:
    """The recorded norm is at most eps and at least the exact distance."""
    model, split = linear_case(10)
    protocol = replace(protocols.load("pgd", ""), eps=parse_grid(GRID["linf"], "linf"))
    stages = registry.reference_stages("pgd", 10, protocol.options)
    state = attack_all(model, split, protocol, stages, Settings(0, CPU, 64))
    distances = model.distances(split.pixels(), split.labels, "linf").tolist()
    found = 0
    for level, norm, distance in zip(state.level, state.norm, distances, strict=True):
        if level < len(protocol.eps):
            found += 1
            assert distance * (1 - 1e-6) <= norm <= protocol.eps[level].value
    assert found > 0
