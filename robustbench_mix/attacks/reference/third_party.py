"""Adapt attacks of other packages to the contract.

Such an attack is a function `(model, x, y, *, eps, **options) -> x_adv`, with x (B, C, H, W) in
[0, 1], y (B,), and `model` from pixels to logits. It also receives `norm`, `seed` and `index` if
it names them. It runs on the reference backend: the engine projects, measures and judges.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from robustbench_mix.attacks.base import Batch, Stage
from robustbench_mix.attacks.counted_model import CountedModel
from robustbench_mix.errors import RbmixError, is_out_of_memory, unknown

GIVEN = ("eps", "norm", "seed", "index")


def third_party_stages(
    algorithm: str, attack: Callable[..., Any], options: Mapping[str, Any]
) -> list[Stage]:
    """Return the one stage of a registered attack.

    Args:
        algorithm: Its name.
        attack: The registered function.
        options: Its options, from the protocol.

    Raises:
        RbmixError: If it does not take one of the options.
    """
    parameters = keywords(attack)
    takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters)
    names = [p.name for p in parameters if p.kind is not p.VAR_KEYWORD]
    if not takes_all:
        check_options(algorithm, options, [name for name in names[3:] if name not in GIVEN])

    def run(model: CountedModel, batch: Batch) -> Tensor:
        given = {
            "eps": batch.one_eps(),
            "norm": batch.norm,
            "seed": batch.seed,
            "index": list(batch.index),
        }
        taken = {name: v for name, v in given.items() if takes_all or name in names}
        with one_line(algorithm):
            x_adv = attack(model, batch.x.clone(), batch.y.clone(), **taken, **options)
            return as_images(algorithm, x_adv)

    return [Stage(algorithm, run)]


def keywords(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """Return the parameters of a function or class; none if they cannot be read."""
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return []


def check_options(algorithm: str, options: Mapping[str, Any], allowed: list[str]) -> None:
    """Raise RbmixError for an option that is not allowed.

    Args:
        algorithm: The name of the algorithm, for the message.
        options: The options, from the protocol.
        allowed: The names of the allowed options.
    """
    for name in options:
        if name not in allowed:
            raise unknown(f"option of {algorithm}", name, allowed or ["none"])


def as_images(algorithm: str, found: Any) -> Tensor:
    """Return an attack's result if it is a tensor; raise RbmixError otherwise."""
    if not isinstance(found, Tensor):
        raise RbmixError(f"{algorithm} returned {type(found).__name__}, not a tensor of images")
    return found.detach()


@contextmanager
def one_line(algorithm: str) -> Iterator[None]:
    """Turn any exception of another package into an RbmixError of one line.

    A crash never counts as robust. Running out of memory is passed on, so that smaller batches are
    tried.
    """
    try:
        with torch.enable_grad():
            yield
    except RbmixError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        said = (str(error).splitlines() or [""])[0][:200]
        words = f"{type(error).__name__}: {said}" if said else type(error).__name__
        raise RbmixError(f"{algorithm} failed ({words})") from error
