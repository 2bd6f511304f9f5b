"""`package.module:callable`: networks of the user's own."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from robustbench_mix.config.catalog import check_code
from robustbench_mix.data.shape import Shape
from robustbench_mix.errors import RbmixError, first_line
from robustbench_mix.models.sources.common import Published

BRINGS_WEIGHTS = True


def check(path: str) -> None:
    """Raise RbmixError unless `path` can be imported and called."""
    _target(path)


def fresh(path: str, shape: Shape) -> nn.Module:
    """What the callable makes; it is told `num_classes` and `in_chans` if it has such arguments.

    Raises RbmixError for a path to a network that is there already: its weights are not fresh.
    """
    target = _target(path)
    if isinstance(target, nn.Module):
        raise RbmixError(
            f"model {path!r} is a network; a callable that makes one is needed to build it afresh"
        )
    return built(path, target, shape)


def built(path: str, target: Callable[..., Any], shape: Shape) -> nn.Module:
    """What `target`, called `path`, makes for a shape."""
    told = {"num_classes": shape.classes, "in_chans": shape.channels}
    try:
        named = set(inspect.signature(target).parameters)
    except (TypeError, ValueError):  # a callable that does not tell
        named = set()
    return made(path, target, {name: told[name] for name in told if name in named})


def published(path: str) -> Published:
    """The network as it comes, its weights included."""
    target = _target(path)
    return Published(target if isinstance(target, nn.Module) else made(path, target, {}))


def _target(path: str) -> Callable[..., Any] | nn.Module:
    """Import `package.module:callable`; the current folder is searched first, as `python -m`."""
    check_code(path)
    module_name, _, attribute = path.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        target: Any = importlib.import_module(module_name)
        for part in attribute.split("."):
            target = getattr(target, part)
    except Exception as error:  # whatever the user's module raises
        raise RbmixError(f"cannot import model {path!r}: {_said(error)}") from error
    if not callable(target):
        raise RbmixError(f"model {path!r} is not callable")
    found: Callable[..., Any] | nn.Module = target
    return found


def made(path: str, target: Callable[..., Any], arguments: dict[str, int]) -> nn.Module:
    """What `target`, called `path`, returns; raises RbmixError if that is no network."""
    try:
        model = target(**arguments)
    except Exception as error:  # whatever the user's code raises
        raise RbmixError(f"model {path!r} cannot be made: {_said(error)}") from error
    if not isinstance(model, nn.Module):
        raise RbmixError(f"model {path!r} returned {type(model).__name__}, not an nn.Module")
    return model


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {first_line(error)}"
