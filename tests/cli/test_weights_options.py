"""The options that name weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from robustbench_mix.cli.weights_options import weights_file
from robustbench_mix.config.weights import WeightsFile
from robustbench_mix.errors import RbmixError


def test_weights_with_a_key_and_names() -> None:
    """A list of names is split at commas."""
    found = weights_file(Path("w.pt"), "ema", "aux, head.bias")
    assert found == WeightsFile(Path("w.pt"), "ema", ("aux", "head.bias"))
    assert weights_file(Path("w.pt"), None, None) == WeightsFile(Path("w.pt"))
    assert weights_file(None, None, None) is None


@pytest.mark.parametrize(
    ("key", "ignore", "said"),
    [("ema", None, "--weights-key ema goes"), (None, "aux", "--ignore-weights aux goes")],
)
def test_they_go_with_a_file(key: str | None, ignore: str | None, said: str) -> None:
    """Without --weights there is nothing to choose from."""
    with pytest.raises(RbmixError, match=f"{said} with --weights"):
        weights_file(None, key, ignore)
