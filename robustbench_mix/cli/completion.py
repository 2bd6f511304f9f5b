"""Complete the values of options in the shell: names, found without importing torch.

If no name fits, the shell offers files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from robustbench_mix.config import catalog, protocols
from robustbench_mix.config.catalog import RUNNERS
from robustbench_mix.config.model import CHANNEL, SPATIAL
from robustbench_mix.results import flag_guide
from robustbench_mix.runtime import plugins
from robustbench_mix.sweeps import definition

Complete = Callable[[str], list[str]]


def one_of(words: Callable[[], Iterable[str]]) -> Complete:
    """Return a completion of a single word."""
    return lambda incomplete: [word for word in words() if word.startswith(incomplete)]


def several(complete: Complete) -> Complete:
    """Return a completion of the last word of a list, as in `resnet14,resn`."""

    def of_last(incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        return [f"{before}{comma}{word}" for word in complete(last)]

    return of_last


models = one_of(lambda: [*catalog.MODELS, *plugins.registering_packages("model")])
datasets = one_of(lambda: catalog.DATASETS)
spatial = one_of(lambda: [word.partition("S")[0] for word in SPATIAL[:-1]])
channel = one_of(lambda: CHANNEL)
attacks = one_of(protocols.names)
runners = one_of(lambda: RUNNERS)
sweeps = one_of(definition.shipped_sweeps)
flags = one_of(flag_guide.sections)
