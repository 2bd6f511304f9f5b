"""The recipes of the families on each data set."""

from __future__ import annotations

from robustbench_mix.config.canonical import as_json
from robustbench_mix.config.training import recipe_for


def test_digits_are_not_mirrored() -> None:
    """A mirrored digit is another sign; photographs may be mirrored."""
    assert not recipe_for("resnet", "digits").flip
    assert recipe_for("convmixer", "cifar10").flip
    assert as_json(recipe_for("resnet", "cifar10"))["optimizer"] == "sgd"
