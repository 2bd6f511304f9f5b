"""Data sets that a function of the user's own returns."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from robustbench_mix import cli
from robustbench_mix.config import catalog
from robustbench_mix.data import loaders
from robustbench_mix.errors import RbmixError

CODE = """
import numpy as np
import torch
from torch import nn

def pair(n=8):
    x = torch.linspace(0, 1, n * 12).reshape(n, 3, 2, 2)
    return x, torch.arange(n) % 4

def arrays():
    return tuple(part.numpy() for part in pair())

def loader():
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*pair()), batch_size=3)

def both():
    return {"train": pair(12), "test": pair()}

def grey():
    return pair()[0] * 255, pair()[1]

def broken():
    raise ValueError("no disk")

number = 3

def net():
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 4))
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """A folder with the user's module."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "owndata", raising=False)
    (tmp_path / "owndata.py").write_text(CODE)


@pytest.mark.parametrize("name", ["pair", "arrays", "loader", "both"])
def test_every_form_is_the_same_data(name: str) -> None:
    """Images and labels as they are, under the word as name; with or without training images."""
    found = loaders.load(f"owndata:{name}")
    assert (found.name, found.classes) == (f"owndata:{name}", ("0", "1", "2", "3"))
    assert catalog.dataset_name(found.name) == found.name
    images = torch.linspace(0, 1, 96).reshape(8, 3, 2, 2)
    assert torch.equal(found.test.pixels(), images)
    assert found.test.labels.tolist() == [0, 1, 2, 3] * 2
    assert len(found.train) == (12 if name == "both" else 8)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("owndata:grey", r"^data set 'owndata:grey': x spans 0 to 255"),
        ("owndata:broken", r"^data set 'owndata:broken' cannot be made: ValueError: no disk$"),
        ("owndata:number", r"^data set 'owndata:number' is not callable$"),
        ("owndata:none", r"^cannot import data set 'owndata:none': AttributeError"),
        ("owndata:", r"^data set 'owndata:' is not of the form package.module:callable$"),
        ("nowhere_at_all:x", r"^cannot import data set 'nowhere_at_all:x': ModuleNotFoundError"),
    ],
)
def test_what_is_no_data_is_one_line(word: str, message: str) -> None:
    """That names the word."""
    with pytest.raises(RbmixError, match=message):
        loaders.load(word)


def test_without_training_images_nothing_is_trained(capsys) -> None:
    """Test images are none to train on; a network with its weights is evaluated."""
    words = ["--dataset", "owndata:pair", "--attack", "fgsm", "--eps", "1/255"]
    assert cli.main(["evaluate", "--model", "resnet14_w4", *words]) == 2
    assert "data set 'owndata:pair' has no training images" in capsys.readouterr().err
    assert cli.main(["evaluate", "--model", "owndata:net", *words]) == 0
    out = capsys.readouterr().out
    assert "owndata:net on owndata:pair under fgsm" in " ".join(out.split())
    assert "all 8 test images" in out


@pytest.mark.default
def test_a_gate_keeps_the_word(capsys, tmp_path: Path) -> None:
    """And finds that the data have changed."""
    words = ["--dataset", "owndata:pair", "--attack", "fgsm", "--eps", "1/255", "--out", "."]
    (tmp_path / "owndata.py").write_text(
        CODE.replace("return nn", "torch.manual_seed(0)\n    return nn")
    )
    assert cli.main(["baseline", "--model", "owndata:net", *words]) == 0
    path = "owndata_net-external-external-s0-owndata_pair-fgsm.csv"
    assert cli.main(["check", "--baseline", path]) == 0
    assert cli.main(["check", "--baseline", path, "--dataset", "owndata:arrays"]) == 0
    assert cli.main(["check", "--baseline", path, "--dataset", "owndata:both"]) == 0
    capsys.readouterr()
    assert cli.main(["check", "--baseline", path, "--dataset", "digits"]) == 2
    assert "data set 'digits' has changed since" in capsys.readouterr().err
