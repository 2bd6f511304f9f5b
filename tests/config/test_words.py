"""The types of words say what the words are: none is missing, none is stale."""

from __future__ import annotations

from typing import get_args

import pytest

from robustbench_mix.api.autoattack_settings import SOURCE, VERSIONS
from robustbench_mix.config import catalog, norms, protocols, words
from robustbench_mix.config.model import CHANNEL, SPATIAL, parse_spatial
from robustbench_mix.config.training import ADVERSARIAL_ATTACKS, PRECISIONS

KNOWN = {
    "ModelName": catalog.MODELS,
    "SpatialName": [word for word in SPATIAL if ":" not in word],
    "Channel": CHANNEL,
    "DatasetName": catalog.DATASETS,
    "AttackName": protocols.names(),
    "AlgorithmName": catalog.ALGORITHMS,
    "NormName": [*norms.NORMS, *norms.ROBUSTBENCH.values()],
    "Backend": catalog.BACKENDS,
    "DeviceName": catalog.DEVICES,
    "Precision": [*PRECISIONS, "auto"],
    "AdversarialAttack": ADVERSARIAL_ATTACKS,
    "Version": VERSIONS,
    "Component": SOURCE,
}


@pytest.mark.parametrize("name", KNOWN)
def test_a_type_lists_the_known_words(name: str) -> None:
    """All of them, each once."""
    listed = get_args(getattr(words, name))
    assert sorted(listed) == sorted(KNOWN[name])


def test_every_list_of_words_is_compared() -> None:
    """A new one belongs into `KNOWN`."""
    literals = {name for name, value in vars(words).items() if "Literal[" in repr(value)[:20]}
    assert literals == set(KNOWN)


def test_the_words_are_read() -> None:
    """By what reads them."""
    for word in get_args(words.NormName):
        assert norms.parse(word) in norms.NORMS
    for word in get_args(words.SpatialName):
        assert parse_spatial(word).mode == word
