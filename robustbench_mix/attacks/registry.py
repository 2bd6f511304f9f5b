"""The algorithms a protocol can name.

An algorithm turns its options into *components*: attack functions that run one after the
other, each on the images that still stand. An attack is a function
`(Target, x, y, *, eps, norm, index, seed) -> x_adv`; it stores nothing, prints nothing and
is not believed: the harness projects, measures and judges what it returns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from robustbench_mix.attacks.base import Attack, Component, call_with_options
from robustbench_mix.attacks.reference import foolbox, third_party
from robustbench_mix.attacks.reference.autoattack import autoattack
from robustbench_mix.attacks.reference.fgsm import fgsm
from robustbench_mix.attacks.reference.noise import noise
from robustbench_mix.attacks.reference.pgd import pgd
from robustbench_mix.config.catalog import FOOLBOX, check_algorithm, check_reference
from robustbench_mix.runtime import plugins

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
        return foolbox.foolbox(algorithm, options)
    if algorithm in ALGORITHMS:
        return call_with_options(ALGORITHMS[algorithm], algorithm, classes, options)
    check_reference(algorithm)
    return third_party.from_package(algorithm, plugins.attack_loaders()[algorithm](), options)
