"""Find the attacks that a protocol names, and make their stages for an engine.

`config/catalog.py` lists ours by name; a new attack is one function and one line there.
"""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Mapping
from functools import partial
from typing import Any

from robustbench_mix.attacks.base import Stage
from robustbench_mix.attacks.options import call_with_options
from robustbench_mix.attacks.reference.foolbox import foolbox_stages
from robustbench_mix.attacks.reference.third_party import third_party_stages
from robustbench_mix.config.catalog import (
    ALGORITHMS,
    FOOLBOX,
    check_algorithm,
    check_fast,
    check_reference,
)
from robustbench_mix.runtime import plugins


def fast_stages(
    algorithm: str, classes: int, options: Mapping[str, Any], *, early_stop: bool = True
) -> list[Stage]:
    """Return the stages of an algorithm for the fast engine.

    Args:
        algorithm: One of `catalog.ALGORITHMS`.
        classes: Number of classes of the model.
        options: Options of the algorithm, from the protocol.
        early_stop: Whether an image leaves a stage once it is broken. If not, all passes of the
            original are made. An attack without that option makes them anyway.

    Raises:
        RbmixError: If the algorithm has no fast form, or an option is unknown or out of range.
    """
    check_fast(algorithm)
    make = pkgutil.resolve_name(ALGORITHMS[algorithm].fast)
    if not early_stop and "early_stop" in inspect.signature(make).parameters:
        make = partial(make, early_stop=False)
    return call_with_options(make, algorithm, classes, options)


def reference_stages(algorithm: str, classes: int, options: Mapping[str, Any]) -> list[Stage]:
    """Return the stages of an algorithm for the reference engine.

    Args:
        algorithm: One of `catalog.ALGORITHMS`, `foolbox:NAME`, or a name that a package registers
            (`runtime/plugins.py`).
        classes: Number of classes of the model.
        options: Options of the algorithm, from the protocol.

    Raises:
        RbmixError: If the algorithm or an option is unknown, or an option is out of range.
    """
    check_algorithm(algorithm)
    if algorithm.startswith(FOOLBOX):
        return foolbox_stages(algorithm, options)
    check_reference(algorithm)
    if algorithm in ALGORITHMS:
        make = pkgutil.resolve_name(ALGORITHMS[algorithm].reference)
        return call_with_options(make, algorithm, classes, options)
    return third_party_stages(algorithm, plugins.attack_loaders()[algorithm](), options)
