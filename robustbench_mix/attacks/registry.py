"""The algorithms a protocol can name.

An algorithm turns its options into *components*: attack functions that run one after the
other, each on the images that still stand. An attack is a function
`(Target, x, y, *, eps, norm, index, seed) -> x_adv`; it stores nothing, prints nothing and
is not believed: the harness projects, measures and judges what it returns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from robustbench_mix import plugins
from robustbench_mix.algorithms import foreign, from_foolbox
from robustbench_mix.algorithms.attack import Attack, Component, call_with_options
from robustbench_mix.algorithms.autoattack import autoattack
from robustbench_mix.algorithms.fgsm import fgsm
from robustbench_mix.algorithms.noise import noise
from robustbench_mix.algorithms.pgd import pgd
from robustbench_mix.names import FOOLBOX, check_algorithm, check_reference

ALGORITHMS: dict[str, Callable[..., list[Component]]] = {
    "autoattack": autoattack,
    "fgsm": fgsm,
    "noise": noise,
    "pgd": pgd,
}

__all__ = ["ALGORITHMS", "Attack", "Component", "components"]


def components(algorithm: str, classes: int, options: dict[str, Any]) -> list[Component]:
    """The components of an algorithm under a protocol's options.

    The algorithm is one of `ALGORITHMS`, `foolbox:NAME`, or what a package registers (`plugins`).
    Raises RbmixError for an unknown algorithm or option, or an option out of range.
    """
    check_algorithm(algorithm)
    if algorithm.startswith(FOOLBOX):
        return from_foolbox.foolbox(algorithm, options)
    if algorithm in ALGORITHMS:
        return call_with_options(ALGORITHMS[algorithm], algorithm, classes, options)
    check_reference(algorithm)
    return foreign.from_package(algorithm, plugins.algorithms()[algorithm](), options)
