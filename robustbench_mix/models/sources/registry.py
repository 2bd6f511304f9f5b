"""Model words to networks: the one place that says what `timm:resnet18` means.

A word without a colon is a name from `rbmix models`, rbmix's own or one that a package
registers. `SOURCE:NAME` is looked up in `SOURCES`, and anything else with a colon is
`package.module:callable`; `python:` before that reaches a module that is called like a source,
as in `python:timm:make`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import nn

from robustbench_mix.config import catalog
from robustbench_mix.config.catalog import FORMS
from robustbench_mix.data.shape import Shape
from robustbench_mix.models.sources import (
    builtin,
    hub,
    importable,
    registered,
    timm_models,
    torchvision_models,
)
from robustbench_mix.models.sources.common import Pretrained

__all__ = ["FORMS", "SOURCES", "Origin", "Source", "parse"]


class Source(Protocol):
    """One origin of networks: a module with these functions, and an entry in `SOURCES`.

    `BRINGS_WEIGHTS` says that its networks are ready unless a variant is asked for.
    """

    COMES_WITH_WEIGHTS: bool

    def check(self, name: str) -> None:
        """Raise RbmixError unless there is such a network; downloads nothing."""

    def build(self, name: str, shape: Shape) -> nn.Module:
        """The architecture for a shape, its weights drawn from the global random state."""

    def load_pretrained(self, name: str) -> Pretrained:
        """The network with the weights that it was published with."""


SOURCES: dict[str, Source] = {
    "torchvision": torchvision_models,
    "timm": timm_models,
    "hf": hub,
    "python": importable,
}


@dataclass(frozen=True)
class Origin:
    """A model word taken apart."""

    word: str
    source: Source
    name: str

    @property
    def is_builtin(self) -> bool:
        """Whether it is a name from `rbmix models`."""
        return self.source is builtin

    @property
    def is_code(self) -> bool:
        """Whether the word itself says which code is to be imported."""
        return self.source is importable

    def check(self) -> None:
        """Raise RbmixError unless there is such a network; downloads nothing."""
        self.source.check(self.name)

    def build(self, shape: Shape) -> nn.Module:
        """The architecture for a shape, its weights drawn from the global random state."""
        return self.source.build(self.name, shape)

    def load_pretrained(self) -> Pretrained:
        """The network with the weights that it was published with, downloaded if need be."""
        return self.source.load_pretrained(self.name)


def parse(word: str) -> Origin:
    """Where the network with this word comes from; whether it exists, `check` says."""
    prefix, colon, rest = word.partition(":")
    if not colon:
        return Origin(word, builtin if catalog.is_builtin(word) else registered, word)
    if prefix in SOURCES:
        return Origin(word, SOURCES[prefix], rest)
    return Origin(word, importable, word)
