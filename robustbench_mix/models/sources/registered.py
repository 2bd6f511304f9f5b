"""Networks that other packages register by entry points (`plugins`), with their own weights.

A package registers a callable, as in `package.module:callable`, under a name without a colon.
"""

from __future__ import annotations

from torch import nn

from robustbench_mix.data.shape import Shape
from robustbench_mix.models.sources import importable
from robustbench_mix.models.sources.common import Pretrained
from robustbench_mix.runtime import plugins

COMES_WITH_WEIGHTS = True


def check(name: str) -> None:
    """Raise RbmixError unless the registered name can be imported."""
    plugins.model_loaders()[name]()


def build(name: str, shape: Shape) -> nn.Module:
    """Build the network for a shape; as `importable.build`."""
    return importable.build_for_shape(name, plugins.model_loaders()[name](), shape)


def load_pretrained(name: str) -> Pretrained:
    """Return the network with its own weights."""
    return Pretrained(importable.call_builder(name, plugins.model_loaders()[name](), {}))
