"""Any attack of foolbox by its name: `foolbox:LinfDeepFoolAttack` (Rauber et al., JOSS 2020).

An attack that minimises runs once and serves the whole grid; one of fixed epsilon runs at each.
It is foolbox's own: it may return its last iterate although an earlier one had succeeded.
"""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from robustbench_mix.attacks.base import Component, Target
from robustbench_mix.attacks.reference.third_party import (
    as_images,
    check_options,
    keywords,
    one_line,
)
from robustbench_mix.config.catalog import FOOLBOX
from robustbench_mix.config.epsilon import NORMS
from robustbench_mix.errors import RbmixError, unknown

NORM = {2: "l2", math.inf: "linf"}


def names() -> list[str]:
    """The attacks that foolbox has, its short names included."""
    attacks = _library().attacks
    found = (name for name in dir(attacks) if inspect.isclass(getattr(attacks, name)))
    return [name for name in found if not inspect.isabstract(getattr(attacks, name))]


def foolbox(algorithm: str, options: dict[str, Any]) -> list[Component]:
    """The attack named behind `FOOLBOX`; `options` go to its constructor.

    Raises RbmixError for an unknown name or option, and for an attack whose perturbations no
    norm of ours measures.
    """
    name = algorithm.removeprefix(FOOLBOX)
    if name not in names():
        raise unknown("foolbox attack", name, names())
    library = _library()
    kind = getattr(library.attacks, name)
    takes = [p.name for p in keywords(kind)]
    # Some measure in whatever norm they are told: the protocol's.
    free = "distance" in takes
    check_options(algorithm, options, [option for option in takes if option != "distance"])
    nearest = issubclass(kind, library.attacks.base.MinimizationAttack)
    norm = "" if free else _norm(algorithm, _made(algorithm, kind, options))

    def attack(
        target: Target,
        x: Tensor,
        y: Tensor,
        *,
        eps: float,
        norm: str,
        index: list[int],
        seed: int,
    ) -> Tensor:
        measure = {"distance": getattr(library.distances, norm)} if free else {}
        made = _made(algorithm, kind, {**options, **measure})
        network = library.PyTorchModel(target.eval(), bounds=(0, 1), device=x.device)
        how = {} if nearest else {"epsilon": eps}
        with one_line(algorithm), _numpy_drawing_alike():
            found = made.run(network, x.contiguous(), library.Misclassification(y), **how)
        return as_images(algorithm, found)

    return [Component(name, attack, nearest=nearest, norm=norm)]


def _made(algorithm: str, kind: Any, options: dict[str, Any]) -> Any:
    with one_line(algorithm):
        return kind(**options)


def _norm(algorithm: str, attack: Any) -> str:
    order = getattr(getattr(attack, "distance", None), "p", None)
    if order in NORM:
        return NORM[order]
    measured = "no norm" if order is None else f"l{order}"
    raise RbmixError(f"{algorithm} searches in {measured} (allowed: {', '.join(NORMS)})")


@contextmanager
def _numpy_drawing_alike() -> Iterator[None]:
    """Some attacks draw from numpy's global state: a function of torch's, which the harness set."""
    before = np.random.get_state()
    np.random.seed(int(torch.randint(2**31, ())))
    try:
        yield
    finally:
        np.random.set_state(before)


def _library() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it imports scipy.ndimage.filters
        import foolbox
    return foolbox
