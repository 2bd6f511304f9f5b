"""How a protocol is run: fast, on the libraries, or for networks that draw random numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from robustbench_mix import algorithms
from robustbench_mix.algorithms import ladders
from robustbench_mix.algorithms.attack import check_norm
from robustbench_mix.algorithms.ladders import Rung
from robustbench_mix.errors import RbmixError
from robustbench_mix.harness import attack_all
from robustbench_mix.protocols import Protocol
from robustbench_mix.search import search_all
from robustbench_mix.state import State
from robustbench_mix.verdicts import DRAWS


@dataclass(frozen=True)
class Schedule:
    """The attacks of a protocol under a backend, and the backend's name in the records.

    `steps` is how many an image can pass.
    """

    backend: str
    attack: Callable[..., State]
    rungs: list[Rung]
    steps: int


def schedule_of(
    protocol: Protocol,
    classes: int,
    backend: str | None = None,
    *,
    exhaustive: bool = False,
    randomised: bool = False,
) -> Schedule:
    """Choose the schedule; raises RbmixError if the protocol does not go with it."""
    name, options = protocol.algorithm, protocol.options
    algorithms.check_name(name)
    if randomised:
        return _randomised(protocol, classes, backend, exhaustive)
    if backend is None:
        backend = "fast" if name in ladders.LADDERS else "reference"
    if exhaustive:
        if backend != "fast":
            raise RbmixError(f"--exhaustive goes with the fast backend, not with {backend!r}")
        rungs = ladders.ladder(name, classes, options, early_stop=False)
        steps = ladders.as_components(rungs)
        attack = partial(attack_all, steps=steps, exhaustive=True)
        return Schedule("fast, exhaustive", attack, [], len(steps) * len(protocol.eps))
    if backend == "fast":
        rungs = ladders.ladder(name, classes, options)
        return Schedule(backend, partial(search_all, ladder=rungs), rungs, len(rungs))
    steps = algorithms.components(name, classes, options)
    check_norm(steps, protocol.norm)
    attack = partial(attack_all, steps=steps)
    return Schedule(backend, attack, [], len(steps) * len(protocol.eps))


def _randomised(
    protocol: Protocol, classes: int, backend: str | None, exhaustive: bool
) -> Schedule:
    """On the reference backend: the fast one believes whatever a single pass says."""
    if backend == "fast" or exhaustive:
        words = "--exhaustive" if exhaustive else "--backend fast"
        raise RbmixError(f"--randomised goes with the reference backend, not with {words}")
    name = protocol.algorithm
    if name in ladders.LADDERS and name not in algorithms.ALGORITHMS:
        raise RbmixError(
            f"algorithm {name!r} has no form for randomised networks "
            f"(allowed: {', '.join(algorithms.ALGORITHMS)}, foolbox:NAME)"
        )
    steps = algorithms.components(name, classes, protocol.options)
    check_norm(steps, protocol.norm)
    attack = partial(attack_all, steps=steps, draws=DRAWS)
    return Schedule("reference, randomised", attack, [], len(steps) * len(protocol.eps))
