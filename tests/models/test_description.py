"""What `rbmix describe` tells of a network."""

from __future__ import annotations

import json

import pytest

from robustbench_mix.config.model import Interface, ModelSpec
from robustbench_mix.errors import RbmixError
from robustbench_mix.models.description import describe


def test_without_a_data_set_it_is_for_small_colour_images() -> None:
    """Ten classes unless said otherwise; plain values, that JSON can hold."""
    found = describe(ModelSpec("resnet14_w4", "frozen"))
    assert (found["model"], found["spatial"], found["channel"]) == (
        "resnet14_w4", "frozen", "learned",
    )  # fmt: skip
    assert (found["image"], found["classes"]) == ([3, 32, 32], 10)
    assert json.loads(json.dumps(found)) == found
    assert found["precision"] == "float32 weights, decided in IEEE float32"
    other = describe(ModelSpec("resnet14_w4", interface=Interface(16, classes=20)))
    assert (other["image"], other["classes"]) == ([3, 16, 16], 20)
    assert other["trainable"] > found["trainable"]


def test_with_a_data_set_it_is_for_its_images() -> None:
    """Whose interface may be changed; fewer outputs than classes are refused."""
    found = describe(ModelSpec("resnet14_w4"), "digits")
    assert (found["image"], found["classes"]) == ([1, 8, 8], 10)
    larger = describe(ModelSpec("resnet14_w4", interface=Interface(16)), "digits")
    assert larger["image"] == [1, 16, 16]
    assert larger["trainable"] == found["trainable"]
    with pytest.raises(RbmixError, match="--classes 5 is less than"):
        describe(ModelSpec("resnet14_w4", interface=Interface(classes=5)), "digits")


def test_wrong_names_are_refused() -> None:
    """Before anything is built."""
    with pytest.raises(RbmixError, match="unknown model 'resnet81'"):
        describe(ModelSpec("resnet81"))
