"""`package.module:callable`: the user's own networks."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from robustbench_mix.config.catalog import check_code
from robustbench_mix.data.shape import Shape
from robustbench_mix.errors import FOREIGN, RbmixError
from robustbench_mix.models.given import as_module
from robustbench_mix.models.sources.common import Pretrained
from robustbench_mix.runtime.imports import describe_error, import_word

COMES_WITH_WEIGHTS = True


def check(path: str) -> None:
    """Raise RbmixError unless `path` can be imported and called."""
    _import_target(path)


def build(path: str, shape: Shape) -> nn.Module:
    """Build the network by calling the callable; as `build_for_shape`.

    Raises:
        RbmixError: The path is that of a network, whose weights are not untrained.
    """
    target = _import_target(path)
    if isinstance(target, nn.Module):
        raise RbmixError(
            f"model {path!r} is a network; a callable that makes one is needed to build it afresh"
        )
    return build_for_shape(path, target, shape)


def build_for_shape(path: str, target: Callable[..., Any], shape: Shape) -> nn.Module:
    """Call a function that makes a network of this shape.

    Args:
        path: The path of the function, for messages.
        target: The function; it receives `num_classes` and `in_chans` if it has such arguments.
        shape: The shape of the data set.
    """
    known = {"num_classes": shape.classes, "in_chans": shape.channels}
    try:
        named = set(inspect.signature(target).parameters)
    except (TypeError, ValueError):  # a callable without a signature
        named = set()
    return call_builder(path, target, {name: known[name] for name in known if name in named})


def load_pretrained(path: str) -> Pretrained:
    """Return the network with its own weights."""
    target = _import_target(path)
    if isinstance(target, nn.Module | torch.export.ExportedProgram):
        return Pretrained(as_module(target))
    return Pretrained(call_builder(path, target, {}))


def _import_target(path: str) -> Callable[..., Any] | nn.Module:
    """Import `package.module:callable`, from the current folder first, as `python -m` does."""
    check_code(path)
    target: Any = import_word(path, "model")
    if not callable(target):
        raise RbmixError(f"model {path!r} is not callable")
    found: Callable[..., Any] | nn.Module = target
    return found


def call_builder(path: str, target: Callable[..., Any], arguments: dict[str, int]) -> nn.Module:
    """Call a function that makes a network, and return it as a module.

    Args:
        path: The path of the function, for messages.
        target: The function.
        arguments: Its arguments.

    Raises:
        RbmixError: It fails, or returns nothing that can be called.
    """
    try:
        model = target(**arguments)
    except FOREIGN as error:  # whatever the user's code raises
        raise RbmixError(f"model {path!r} cannot be made: {describe_error(error)}") from error
    if not isinstance(model, nn.Module | torch.export.ExportedProgram) and not callable(model):
        raise RbmixError(
            f"model {path!r} returned {type(model).__name__}, not an nn.Module or a function of "
            "images"
        )
    return as_module(model)
