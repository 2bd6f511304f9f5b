"""Networks that other packages register by entry points (`plugins`): evaluated as they come.

What is registered is a callable as in `package.module:callable`, under a name without a colon.
"""

from __future__ import annotations

from torch import nn

from robustbench_mix.data.shape import Shape
from robustbench_mix.models.sources import importable
from robustbench_mix.models.sources.common import Published
from robustbench_mix.runtime import plugins

BRINGS_WEIGHTS = True


def check(name: str) -> None:
    """Raise RbmixError unless it can be imported."""
    plugins.models()[name]()


def fresh(name: str, shape: Shape) -> nn.Module:
    """What the callable makes for a shape, as `importable.fresh`."""
    return importable.built(name, plugins.models()[name](), shape)


def published(name: str) -> Published:
    """The network as it comes, its weights included."""
    return Published(importable.made(name, plugins.models()[name](), {}))
