"""Which network may be asked for, and how a wrong wish is answered."""

from __future__ import annotations

import pytest

from robustbench_mix.config.model import ModelSpec, Spatial, parse_spatial
from robustbench_mix.errors import RbmixError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("learned", Spatial("learned")),
        ("smoothed:6", Spatial("smoothed", 6)),
        ("smoothed:4:rescaled", Spatial("smoothed", 4, True)),
    ],
)
def test_spatial_words(text: str, expected: Spatial) -> None:
    """Each word of the vocabulary has one meaning."""
    assert parse_spatial(text) == expected


@pytest.mark.parametrize("text", ["frozn", "smoothed", "smoothed:0", "smoothed:x", "Learned", ""])
def test_unknown_spatial_words(text: str) -> None:
    """Anything else lists what is allowed."""
    with pytest.raises(RbmixError, match="allowed: learned, frozen"):
        parse_spatial(text)


def test_nearest_word_is_offered() -> None:
    """A typo is answered with the nearest word."""
    with pytest.raises(RbmixError, match="did you mean 'frozen'"):
        ModelSpec("resnet14", spatial="frozn")
    with pytest.raises(RbmixError, match="did you mean 'learned'"):
        ModelSpec("resnet14", channel="lerned")


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seed_range(seed: int) -> None:
    """Seeds fit 32 bits."""
    with pytest.raises(RbmixError, match="allowed: 0 to"):
        ModelSpec("resnet14", seed=seed)
