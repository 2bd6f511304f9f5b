"""The command that takes a network apart."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest

from robustbench_mix.models import description

INTERRUPTED = 130


def test_it_shows_what_is_described(rbmix, monkeypatch: pytest.MonkeyPatch) -> None:
    """For people and for programs, with the name and the variant in the title."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(description, "describe", cache(description.describe))
    words = ["describe", "resnet14_w4", "--spatial", "frozen", "--dataset", "digits"]
    code, out, _ = rbmix(*words, "--json")
    assert code == 0
    found = json.loads(out)
    assert (found["model"], found["spatial"], found["channel"]) == (
        "resnet14_w4",
        "frozen",
        "learned",
    )
    assert (found["image"], found["classes"]) == ([1, 8, 8], 10)
    assert found["frozen"] == sum(layer["frozen"] for layer in found["layers"]) > 0
    shown = rbmix(*words)[1]
    title = "resnet14_w4 (spatial frozen, channel learned) for images of 1 x 8 x 8, 10 classes"
    assert title in shown
    assert f"{found['trainable']:,} trainable and {found['frozen']:,} frozen" in shown
    assert rbmix(*words, "--quiet") == (0, "", "")


def test_the_words_are_those_of_a_network(rbmix, planned) -> None:
    """With an interface of its own."""
    given = planned(f"{description.__name__}.describe")
    assert rbmix("describe", "timm:x", "--input-size", 64, "--classes", 7)[0] == INTERRUPTED
    ((spec, dataset),) = given
    assert (spec.model, spec.spatial, dataset) == ("timm:x", "learned", None)
    assert (spec.interface.input_size, spec.interface.classes) == (64, 7)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["resnet15"], "unknown model 'resnet15'; did you mean 'resnet"),
        (["resnet14", "--spatial", "frosen"], "unknown spatial 'frosen'"),
        (["resnet14", "--dataset", "digts"], "did you mean 'digits'"),
        (["resnet14", "--classes", "many"], "'many' is not a whole number"),
    ],
)
def test_wrong_words_are_named(rbmix, planned, words: list[str], message: str) -> None:
    """Before anything is built."""
    given = planned(f"{description.__name__}.describe")
    code, out, err = rbmix("describe", *words)
    assert (code, out, given) == (2, "", [])
    assert message in err


def test_a_folder_is_a_data_set_too(rbmix, planned, tmp_path: Path) -> None:
    """By its path."""
    given = planned(f"{description.__name__}.describe")
    assert rbmix("describe", "resnet14", "--dataset", tmp_path)[0] == INTERRUPTED
    assert given[0][1] == str(tmp_path)
