"""Any attack of foolbox by its name, for example `foolbox:LinfDeepFoolAttack`.

An attack that minimises the perturbation runs once and serves the whole grid; one of fixed epsilon
runs at each. Foolbox's code runs unchanged: it may return its last iterate although an earlier one
had succeeded.

Source: Rauber et al., JOSS 2020.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from robustbench_mix.attacks.base import Batch, Stage
from robustbench_mix.attacks.counted_model import CountedModel
from robustbench_mix.attacks.reference.third_party import (
    as_images,
    check_options,
    keywords,
    one_line,
)
from robustbench_mix.config.catalog import FOOLBOX
from robustbench_mix.config.norms import FROM_ORDER, NORMS
from robustbench_mix.errors import RbmixError, unknown


def names() -> list[str]:
    """Return the names of foolbox's attacks, its short names included."""
    attacks = _library().attacks
    found = (name for name in dir(attacks) if inspect.isclass(getattr(attacks, name)))
    return [name for name in found if not inspect.isabstract(getattr(attacks, name))]


def foolbox_stages(algorithm: str, options: Mapping[str, Any]) -> list[Stage]:
    """Return the one stage of an attack of foolbox.

    Args:
        algorithm: `foolbox:` and the attack's name.
        options: Options of its constructor.

    Raises:
        RbmixError: If the name or an option is unknown, or no norm of ours measures its
            perturbations.
    """
    name = algorithm.removeprefix(FOOLBOX)
    if name not in names():
        raise unknown("foolbox attack", name, names())
    library = _library()
    kind = getattr(library.attacks, name)
    takes = [p.name for p in keywords(kind)]
    # Some attacks accept any norm: they get the protocol's.
    free = "distance" in takes
    check_options(algorithm, options, [option for option in takes if option != "distance"])
    nearest = issubclass(kind, library.attacks.base.MinimizationAttack)
    norm = "" if free else _norm(algorithm, _made(algorithm, kind, options))

    def attack(model: CountedModel, batch: Batch) -> Tensor:
        measure = {"distance": getattr(library.distances, batch.norm)} if free else {}
        made = _made(algorithm, kind, {**options, **measure})
        network = library.PyTorchModel(model.eval(), bounds=(0, 1), device=batch.x.device)
        how = {} if nearest else {"epsilon": batch.one_eps()}
        wanted = library.Misclassification(batch.y)
        with one_line(algorithm), _numpy_seeded_by_torch():
            found = made.run(network, batch.x.contiguous(), wanted, **how)
        return as_images(algorithm, found)

    return [Stage(name, attack, nearest=nearest, norm=norm)]


def _made(algorithm: str, kind: Any, options: Mapping[str, Any]) -> Any:
    with one_line(algorithm):
        return kind(**options)


def _norm(algorithm: str, attack: Any) -> str:
    order = getattr(getattr(attack, "distance", None), "p", None)
    if order in FROM_ORDER:
        return FROM_ORDER[order]
    measured = "no norm" if order is None else f"l{order}"
    raise RbmixError(f"{algorithm} searches in {measured} (allowed: {', '.join(NORMS)})")


@contextmanager
def _numpy_seeded_by_torch() -> Iterator[None]:
    """Seed numpy, from which some attacks draw, from torch's state, which the engine sets."""
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
