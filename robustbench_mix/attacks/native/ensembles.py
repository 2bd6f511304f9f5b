"""AutoAttack on our own attacks, as stages for the fast engine.

The options are those of the library's algorithm of the same name.

Without `early_stop` no pass is saved: no image leaves, and the passes that AutoAttack's own code
repeats are repeated too (each attack predicts the clean images, and again to rank targets or to
check its result). The cost can then be compared pass for pass.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from robustbench_mix.attacks import losses
from robustbench_mix.attacks.autoattack import STANDARD, Options, stages_of
from robustbench_mix.attacks.base import Attack, Batch, PassEstimate, Stage, constant_passes
from robustbench_mix.attacks.counted_model import CountedModel
from robustbench_mix.attacks.native.apgd import apgd, untargeted
from robustbench_mix.attacks.native.fab import fab
from robustbench_mix.attacks.native.first_pass import expected_passes, first_pass
from robustbench_mix.attacks.native.square import expected_queries, square
from robustbench_mix.attacks.native.targeted import attack_runners_up
from robustbench_mix.attacks.options import check_share
from robustbench_mix.attacks.passes import Count
from robustbench_mix.attacks.random import derive

RESTART = 1 << 20  # seeds of restarts: beyond those of target classes


def autoattack_stages(
    classes: int,
    *,
    components: list[str] = STANDARD,
    steps: int = 100,
    targets: int = 9,
    queries: int = 5000,
    restarts: int = 1,
    settings: dict[str, dict[str, int]] | None = None,
    early_stop: bool = True,
) -> list[Stage]:
    """Return the stages of AutoAttack, the same as on the reference engine for the same options.

    Args:
        classes: Number of classes of the model.
        components: Names of the stages.
        steps: Steps of APGD and FAB.
        targets: Target classes of the targeted attacks.
        queries: Queries of Square.
        restarts: How often each stage runs on the images that stand, from other random starts.
        settings: Other options for some stages, by their names.
        early_stop: Whether an image leaves the batch once it is broken.
    """
    common = Options(steps, targets, queries, restarts=restarts)
    return [
        Stage(
            name,
            _attack(name, options, early_stop=early_stop),
            passes=_passes(name, options, early_stop=early_stop),
            counts_per_image=True,
        )
        for name, options in stages_of(classes, components, common, settings)
    ]


def audited_stages(
    classes: int,
    *,
    bound: float = 0.02,
    steps: int = 100,
    targets: int = 9,
    queries: int = 5000,
    early_stop: bool = True,
) -> list[Stage]:
    """Return a cheap first pass for all images, then AutoAttack for a sample of those that stand.

    Args:
        classes: Number of classes of the model.
        bound: The share of all images that may stand only because they were not sampled; the
            sample is as large as that takes.
        steps: Steps of APGD and FAB.
        targets: Target classes of the targeted attacks.
        queries: Queries of Square.
        early_stop: Whether an image leaves the batch once it is broken.
    """
    check_share("bound", bound)
    ensemble = autoattack_stages(
        classes, steps=steps, targets=targets, queries=queries, early_stop=early_stop
    )
    ranked = min(targets, classes - 1)
    attack = partial(first_pass, targets=ranked, early_stop=early_stop)
    return [
        Stage("first-pass", attack, passes=expected_passes(ranked), counts_per_image=True),
        *(replace(stage, bound=bound) for stage in ensemble),
    ]


def _attack(name: str, options: Options, *, early_stop: bool) -> Attack:
    """Return the named attack of the ensemble."""
    attack = _once(name, options, early_stop=early_stop)
    if options.restarts > 1:
        again = _once(name, options, early_stop=early_stop, random_start=True)
        attack = partial(_restart, first=attack, again=again, restarts=options.restarts)
    if early_stop:
        return attack
    targets = options.targets
    repeats = {"apgd-t": targets, "fab-t": 3 * targets, "square": 2}.get(name, 1)
    return partial(_repeat_clean_passes, attack=attack, repeats=repeats)


def _once(name: str, options: Options, *, early_stop: bool, random_start: bool = False) -> Attack:
    """Return the named attack without restarts; FAB begins at the image unless told otherwise."""
    targets = options.targets
    common: dict[str, Any] = {"steps": options.steps, "early_stop": early_stop}
    apgd_towards = partial(_apgd_towards, copies=targets, **common)
    fab_towards = partial(fab, copies=targets, random_start=random_start, **common)
    attacks: dict[str, Attack] = {
        "apgd-ce": partial(apgd, loss=untargeted(losses.cross_entropy), **common),
        "apgd-dlr": partial(apgd, loss=untargeted(losses.dlr), **common),
        "apgd-t": partial(attack_runners_up, attack=apgd_towards, targets=targets),
        "fab": partial(fab, target=None, random_start=random_start, **common),
        "fab-t": partial(attack_runners_up, attack=fab_towards, targets=targets),
        "square": partial(square, queries=options.queries, early_stop=early_stop),
    }
    return attacks[name]


def _restart(
    model: CountedModel, batch: Batch, *, first: Attack, again: Attack, restarts: int
) -> Tensor:
    """Attack, and then attack what stands from other random starts."""
    found = first(model, batch)
    for number in range(1, restarts):
        left = (found == batch.x).flatten(1).all(1).nonzero().flatten()
        if len(left) == 0:
            break
        others = batch.take(left)
        others = replace(others, seeds=derive(others.seeds, RESTART + number))
        found[left] = again(model.take(left), others)
    return found


def _passes(name: str, options: Options, *, early_stop: bool) -> PassEstimate:
    if name == "square" and early_stop:
        return lambda x, norm: Count(options.restarts * expected_queries(x, norm, options.queries))
    return constant_passes(options.passes(name))


def _repeat_clean_passes(
    model: CountedModel, batch: Batch, *, attack: Attack, repeats: int
) -> Tensor:
    """Repeat the clean passes that the original code makes, then attack."""
    with torch.no_grad():
        for _ in range(repeats):
            model(batch.x)
    return attack(model, batch)


def _apgd_towards(model: CountedModel, batch: Batch, target: Tensor, **options: Any) -> Tensor:
    return apgd(model, batch, losses.dlr_targeted, target, **options)
