"""Networks that other packages register by entry points (`plugins`): evaluated as they come.

What is registered is a callable as in `package.module:callable`, under a name without a colon.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from robustbench_mix import plugins
from robustbench_mix.errors import RbmixError
from robustbench_mix.shapes import Shape
from robustbench_mix.sources import callables
from robustbench_mix.sources.common import Published

BRINGS_WEIGHTS = True


def check(name: str) -> None:
    """Raise RbmixError unless it can be imported."""
    plugins.models()[name]()


def fresh(name: str, shape: Shape) -> nn.Module:
    """What the callable makes for a shape, as `callables.fresh`."""
    return _made(name, lambda: callables.built(name, plugins.models()[name](), shape))


def published(name: str) -> Published:
    """The network as it comes, its weights included."""
    return Published(_made(name, lambda: callables.made(name, plugins.models()[name](), {})))


def _made(name: str, make: Callable[[], Any]) -> nn.Module:
    try:
        net: nn.Module = make()
    except RbmixError:
        raise
    except Exception as error:  # whatever another package raises
        said = (str(error).splitlines() or [""])[0][:160]
        raise RbmixError(f"model {name!r} failed ({type(error).__name__}: {said})") from error
    return net
