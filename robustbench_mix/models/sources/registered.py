"""Networks that other packages register by entry points (`plugins`): evaluated as they come.

What is registered is a callable as in `package.module:callable`, under a name without a colon.
"""

from __future__ import annotations

from torch import nn

from robustbench_mix.data.shape import Shape
from robustbench_mix.models.sources import importable
from robustbench_mix.models.sources.common import Pretrained
from robustbench_mix.runtime import plugins

COMES_WITH_WEIGHTS = True


def check(name: str) -> None:
    """Raise RbmixError unless it can be imported."""
    plugins.model_loaders()[name]()


def build(name: str, shape: Shape) -> nn.Module:
    """What the callable makes for a shape, as `importable.build`."""
    return importable.build_for_shape(name, plugins.model_loaders()[name](), shape)


def load_pretrained(name: str) -> Pretrained:
    """The network as it comes, its weights included."""
    return Pretrained(importable.call_builder(name, plugins.model_loaders()[name](), {}))
