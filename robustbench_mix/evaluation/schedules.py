"""How a protocol is run: fast, on the libraries, or for networks that draw random numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from robustbench_mix.attacks import registry
from robustbench_mix.attacks.base import check_norm
from robustbench_mix.attacks.native import ensembles
from robustbench_mix.attacks.native.ensembles import Rung
from robustbench_mix.attacks.voting import DRAWS
from robustbench_mix.config.catalog import backend_of, recorded_backend
from robustbench_mix.config.protocols import Protocol
from robustbench_mix.evaluation.fast import search_all
from robustbench_mix.evaluation.reference import attack_all
from robustbench_mix.evaluation.state import State


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
    images: int = 0,
) -> Schedule:
    """Choose the schedule for so many `images`, also where parts of them are attacked.

    Raises RbmixError if the protocol does not go with it.
    """
    name, options = protocol.algorithm, protocol.options
    wishes = {"exhaustive": exhaustive, "randomised": randomised}
    words = recorded_backend(name, backend, **wishes)
    backend = backend_of(name, backend, **wishes)
    if exhaustive:
        rungs = ensembles.ladder(name, classes, options, early_stop=False)
        steps = ensembles.as_components(rungs)
        attack = partial(attack_all, steps=steps, exhaustive=True)
        return Schedule(words, attack, [], len(steps) * len(protocol.eps))
    if backend == "fast":
        rungs = ensembles.ladder(name, classes, options)
        attack = partial(search_all, ladder=rungs, images=images)
        return Schedule(words, attack, rungs, len(rungs))
    steps = registry.components(name, classes, options)
    check_norm(steps, protocol.norm)
    # On the reference backend: the fast one believes whatever a single pass says.
    attack = partial(attack_all, steps=steps, draws=DRAWS if randomised else 1)
    return Schedule(words, attack, [], len(steps) * len(protocol.eps))
