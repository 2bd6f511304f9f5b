"""AutoAttack, standard version or `rand`, through pyautoattack (Croce & Hein, arXiv 2003.01690).

The four attacks of the ensemble are run one by one with the settings of the `standard`
version, so that the harness judges after each. The library's own driver is left out: its
checks replace the interpreter's trace function and its log is silent.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from robustbench_mix.attacks.base import Component, Target, always, at_least_one
from robustbench_mix.attacks.passes import Count
from robustbench_mix.attacks.streams import stream
from robustbench_mix.errors import RbmixError, unknown

NORM = {"linf": "Linf", "l2": "L2"}
STANDARD = ["apgd-ce", "apgd-t", "fab-t", "square"]
COMPONENTS = [*STANDARD, "apgd-dlr"]
MAX_COMPONENTS = 100


def autoattack(
    classes: int,
    *,
    components: list[str] = STANDARD,
    steps: int = 100,
    targets: int = 9,
    queries: int = 5000,
    eot: int = 1,
) -> list[Component]:
    """The components of AutoAttack against a network with `classes` classes.

    `targets` is lowered to the number of other classes. The targeted DLR loss needs four
    classes and the DLR loss three: with three, `apgd-t` becomes `apgd-dlr`; with two it
    is left out. The component names in the records say which ran. APGD's gradients are means
    over `eot` passes (expectation over transformation); with `apgd-ce` and `apgd-dlr` and 20
    that is the library's `rand` version.
    """
    at_least_one("steps", steps)
    at_least_one("queries", queries)
    at_least_one("eot", eot)
    targets = min(at_least_one("targets", targets), classes - 1)
    return [
        _component(name, steps, targets, queries, eot)
        for name in chosen_components(components, classes)
    ]


def chosen_components(components: list[str], classes: int) -> list[str]:
    """The components that run for this number of classes; raises RbmixError for bad ones."""
    if classes < 2:
        raise RbmixError(f"AutoAttack needs a model with at least 2 classes, not {classes}")
    if not isinstance(components, list) or not components:
        raise RbmixError(f"option components = {components!r} must be a list of names")
    if len(components) > MAX_COMPONENTS:
        raise RbmixError(
            f"option components has {len(components)} names (allowed: up to {MAX_COMPONENTS})"
        )
    for name in components:
        if name not in COMPONENTS:
            raise unknown("AutoAttack component", str(name), COMPONENTS)
    fallback: dict[str, list[str]] = {}
    if classes < 4:
        fallback["apgd-t"] = ["apgd-dlr"] if classes == 3 else []
    if classes < 3:
        fallback["apgd-dlr"] = []
    return [run for name in components for run in fallback.get(name, [name])]


def _component(name: str, steps: int, targets: int, queries: int, eot: int) -> Component:
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
        draws = stream(seed, name, repr(eps), *index) % 2**32
        library = _library_attack(
            name, target, eps, norm, draws, x.device, steps, targets, queries, eot
        )
        devices = [x.device] if x.device.type == "cuda" else []
        # The library seeds the global generators; the caller gets them back as they were.
        with torch.random.fork_rng(devices=devices):
            x_adv: Tensor = library.perturb(x.contiguous(), y)
        return x_adv.detach()

    return Component(name, attack, passes=always(passes_of(name, steps, targets, queries, eot)))


def passes_of(name: str, steps: int, targets: int, queries: int, eot: int = 1) -> Count:
    """About the passes of an image that withstands the named attack."""
    ascent = Count((steps + 1) * eot, (steps + 1) * eot)
    return {
        "apgd-ce": ascent,
        "apgd-dlr": ascent,
        "apgd-t": ascent.times(targets),
        "fab-t": Count(2 * steps * targets, steps * targets),
        "square": Count(queries + 1),
    }[name]


def _library_attack(
    name: str,
    target: Target,
    eps: float,
    norm: str,
    seed: int,
    device: torch.device,
    steps: int,
    targets: int,
    queries: int,
    eot: int = 1,
) -> Any:
    """One attack object, set as the library's own `standard` version sets it."""
    from pyautoattack.autopgd_base import APGDAttack, APGDAttack_targeted
    from pyautoattack.fab_pt import FABAttack_PT
    from pyautoattack.square import SquareAttack

    common: dict[str, Any] = {"norm": NORM[norm], "eps": eps, "seed": seed, "device": device}
    if name in ("apgd-ce", "apgd-dlr"):
        loss = name.removeprefix("apgd-")
        return APGDAttack(target, n_iter=steps, loss=loss, eot_iter=eot, **common)
    if name == "apgd-t":
        return APGDAttack_targeted(
            target, n_iter=steps, n_target_classes=targets, eot_iter=eot, **common
        )
    if name == "fab-t":
        return FABAttack_PT(target, n_iter=steps, targeted=True, n_target_classes=targets, **common)
    return SquareAttack(target, p_init=0.8, n_queries=queries, resc_schedule=False, **common)
