"""Find the source of a model word, for example of `timm:resnet18`.

A word without a colon is a name from `rbmix models`, rbmix's own or one that a package
registers. `SOURCE:NAME` is looked up in `SOURCES`, and anything else with a colon is
`package.module:callable`; `python:` before it allows a module that is named like a source, as in
`python:timm:make`.
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
    """A source of networks: a module with these functions, and an entry in `SOURCES`.

    `COMES_WITH_WEIGHTS` is true if its networks need no training, unless a variant is wanted.
    """

    COMES_WITH_WEIGHTS: bool

    def check(self, name: str) -> None:
        """Raise RbmixError unless there is such a network; downloads nothing."""

    def build(self, name: str, shape: Shape) -> nn.Module:
        """Build the architecture for a shape, with weights from the global random state."""

    def load_pretrained(self, name: str) -> Pretrained:
        """Load the network with the weights that it was published with."""


SOURCES: dict[str, Source] = {
    "torchvision": torchvision_models,
    "timm": timm_models,
    "hf": hub,
    "python": importable,
}


@dataclass(frozen=True)
class Origin:
    """The parts of a model word: its source, and its name there."""

    word: str
    source: Source
    name: str

    @property
    def is_builtin(self) -> bool:
        """Whether it is a name from `rbmix models`."""
        return self.source is builtin

    @property
    def is_code(self) -> bool:
        """Whether the word names code that is imported."""
        return self.source is importable

    def check(self) -> None:
        """Raise RbmixError unless there is such a network; downloads nothing."""
        self.source.check(self.name)

    def build(self, shape: Shape) -> nn.Module:
        """Build the architecture for a shape, with weights from the global random state."""
        return self.source.build(self.name, shape)

    def load_pretrained(self) -> Pretrained:
        """Load the network with its published weights, downloading them if necessary."""
        return self.source.load_pretrained(self.name)


def parse(word: str) -> Origin:
    """Return the source of a model word; `check` says whether the network exists."""
    prefix, colon, rest = word.partition(":")
    if not colon:
        return Origin(word, builtin if catalog.is_builtin(word) else registered, word)
    if prefix in SOURCES:
        return Origin(word, SOURCES[prefix], rest)
    return Origin(word, importable, word)
