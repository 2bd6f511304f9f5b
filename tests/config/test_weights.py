"""The words that name a file of weights and what is meant in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from robustbench_mix.config.weights import WeightsFile
from robustbench_mix.errors import RbmixError


def test_the_name_in_records() -> None:
    """The file, and the key if one was given."""
    assert WeightsFile(Path("a/w.pt")).name == "w.pt"
    assert WeightsFile(Path("a/w.pt"), "model_ema").name == "w.pt [model_ema]"


@pytest.mark.parametrize("wrong", [{"key": ""}, {"key": "."}, {"ignore": ("aux", "")}])
def test_empty_names_are_refused(wrong: dict) -> None:
    """They would name everything."""
    with pytest.raises(RbmixError, match=r"names nothing|hold an empty name"):
        WeightsFile(Path("w.pt"), **wrong)
