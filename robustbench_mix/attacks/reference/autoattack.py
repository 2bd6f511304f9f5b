"""AutoAttack, standard version or `rand`, through pyautoattack.

The four attacks of the ensemble run one by one with the settings of the `standard` version, so
that the engine judges after each. The library's own driver is not used: its checks replace the
interpreter's trace function.

Source: Croce & Hein, arXiv 2003.01690.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from robustbench_mix.attacks.autoattack import EOT, SETTINGS, STANDARD, Options, stages_of
from robustbench_mix.attacks.base import Batch, Stage, constant_passes
from robustbench_mix.attacks.counted_model import CountedModel
from robustbench_mix.attacks.streams import stream
from robustbench_mix.config.norms import ROBUSTBENCH


def autoattack_stages(
    classes: int,
    *,
    components: list[str] = STANDARD,
    steps: int = 100,
    targets: int = 9,
    queries: int = 5000,
    eot: int = 1,
    restarts: int = 1,
    settings: dict[str, dict[str, int]] | None = None,
) -> list[Stage]:
    """Return the stages of AutoAttack.

    Args:
        classes: Number of classes of the model.
        components: Names of the stages; the names in the records say which ran (`stage_names`).
        steps: Steps of APGD and FAB.
        targets: Target classes of the targeted attacks, at most the number of other classes.
        queries: Queries of Square.
        eot: Number of passes over which a gradient of APGD is averaged (expectation over
            transformation). With 20 and `apgd-ce` and `apgd-dlr`, this is the library's `rand`
            version.
        restarts: How often each stage runs on the images that stand, from other random starts.
        settings: Other options for some stages, by their names.
    """
    common = Options(steps, targets, queries, eot, restarts)
    return [
        Stage(
            name,
            partial(_attack, name=name, options=options),
            passes=constant_passes(options.passes(name)),
        )
        for name, options in stages_of(classes, components, common, settings, (*SETTINGS, EOT))
    ]


def _attack(model: CountedModel, batch: Batch, *, name: str, options: Options) -> Tensor:
    x, eps = batch.x, batch.one_eps()
    seed = stream(batch.seed, name, repr(eps), *batch.index) % 2**32
    library = library_attack(
        name, model, options, norm=batch.norm, eps=eps, seed=seed, device=x.device
    )
    devices = [x.device] if x.device.type == "cuda" else []
    # The library seeds the global generators; the caller gets them back as they were.
    with torch.random.fork_rng(devices=devices):
        x_adv: Tensor = library.perturb(x.contiguous(), batch.y)
    return x_adv.detach()


def library_attack(
    name: str,
    model: CountedModel,
    options: Options,
    *,
    norm: str,
    eps: float,
    seed: int,
    device: torch.device,
) -> Any:
    """Return one attack of the library, with the settings of its own `standard` version.

    Args:
        name: Name of the stage.
        model: The model to attack.
        options: Options of the stage.
        norm: `linf`, `l2` or `l1`.
        eps: Radius in pixel units.
        seed: Seed of the library's random numbers, below 2**32.
        device: The device of the images.
    """
    from pyautoattack.autopgd_base import APGDAttack, APGDAttack_targeted
    from pyautoattack.fab_pt import FABAttack_PT
    from pyautoattack.square import SquareAttack

    common: dict[str, Any] = {
        "norm": ROBUSTBENCH[norm], "eps": eps, "seed": seed, "device": device,
        "n_restarts": options.restarts,
    }  # fmt: skip
    # In l1 the library's standard version ascends in larger balls first.
    ascent = {
        "n_iter": options.steps, "eot_iter": options.eot, "use_largereps": norm == "l1", **common
    }  # fmt: skip
    if name in ("apgd-ce", "apgd-dlr"):
        return APGDAttack(model, loss=name.removeprefix("apgd-"), **ascent)
    if name == "apgd-t":
        return APGDAttack_targeted(model, n_target_classes=options.targets, **ascent)
    if name in ("fab", "fab-t"):
        return FABAttack_PT(
            model, n_iter=options.steps, targeted=name == "fab-t",
            n_target_classes=options.targets, **common,
        )  # fmt: skip
    return SquareAttack(model, p_init=0.8, n_queries=options.queries, resc_schedule=False, **common)
