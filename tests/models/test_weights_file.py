"""Files of weights are read by their content, and nothing in them runs."""

from __future__ import annotations

import argparse
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from robustbench_mix.errors import RbmixError
from robustbench_mix.models.weights_file import read_weights

STATE = {"weight": torch.ones(2)}


@pytest.mark.parametrize("suffix", ["", ".bin", ".ckpt", ".PT", ".pth.tar", ".safetensors"])
def test_the_suffix_does_not_matter(tmp_path: Path, suffix: str) -> None:
    """Lightning writes .ckpt, hubs .bin, the ImageNet example .pth.tar."""
    path = tmp_path / f"w{suffix}"
    if suffix in ("", ".safetensors"):
        save_file(STATE, path)
    else:
        torch.save(STATE, path)
    assert torch.equal(read_weights(path)["weight"], STATE["weight"])


@pytest.mark.parametrize(
    "beside",
    [
        {"args": argparse.Namespace(lr=0.1, name="x")},
        {"best": np.float64(98.7)},
        {"folder": Path("runs")},
        {"budget": Decimal("0.1")},
    ],
)
def test_what_scripts_keep_beside_weights(tmp_path: Path, beside: dict) -> None:
    """Arguments, scalars of NumPy and paths do not stand in the way, and are not made."""
    path = tmp_path / "w.pt"
    torch.save({"state_dict": STATE, **beside}, path)
    found = read_weights(path)
    assert torch.equal(found["state_dict"]["weight"], STATE["weight"])
    ((name, value),) = beside.items()
    assert type(found[name]) is not type(value)


def test_the_content_counts_and_not_the_suffix(tmp_path: Path) -> None:
    """A file of torch.save that is called like the other format, and one of a third program."""
    path = tmp_path / "w.safetensors"
    torch.save(STATE, path)
    assert torch.equal(read_weights(path)["weight"], STATE["weight"])
    with (tmp_path / "w.npz").open("wb") as file:
        np.savez(file, weight=np.zeros(2))
    with pytest.raises(RbmixError, match=r"w\.npz is damaged, or neither torch.save nor"):
        read_weights(tmp_path / "w.npz")


def test_other_objects_are_named(tmp_path: Path) -> None:
    """A whole network is code; its name and a way out are said."""
    path = tmp_path / "w.pt"
    torch.save(nn.Linear(1, 1), path)
    with pytest.raises(RbmixError, match=r"more than tensors \(torch.nn.*save its state_dict"):
        read_weights(path)


@pytest.mark.filterwarnings("ignore")  # TorchScript is deprecated
def test_scripts_are_named(tmp_path: Path) -> None:
    """An archive of TorchScript is a program."""
    path = tmp_path / "w.pt"
    torch.jit.save(torch.jit.script(nn.Linear(1, 1)), path)
    with pytest.raises(RbmixError, match=r"more than tensors \(TorchScript\)"):
        read_weights(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is damaged .*an empty file"),
        (b"<!DOCTYPE html><html>Quota exceeded</html>", "is damaged .*a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is damaged .*Git LFS"),
        (b"hello", "is neither a safetensors file nor one that torch.save writes"),
        (b"PK and no archive", "is damaged"),
    ],
)
def test_downloads_that_failed_are_recognised(tmp_path: Path, content: bytes, said: str) -> None:
    """A page that says no, a pointer, nothing."""
    path = tmp_path / "w.pt"
    path.write_bytes(content)
    with pytest.raises(RbmixError, match=f"w.pt {said}"):
        read_weights(path)
