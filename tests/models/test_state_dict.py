"""Weights from any file: what fits is loaded, what does not is listed, code is refused."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from robustbench_mix.errors import RbmixError
from robustbench_mix.models import state_dict
from robustbench_mix.models.checkpoint import weights_hash


def net(width: int = 3) -> nn.Module:
    """A small module with parameters and buffers."""
    return nn.Sequential(nn.Linear(2, width), nn.BatchNorm1d(width))


def misfits(model: nn.Module, path: Path) -> tuple[str, tuple[str, ...]]:
    """The summary and the list of what does not fit."""
    with pytest.raises(RbmixError, match="do not fit the model") as error:
        state_dict.load(model, path)
    return str(error.value), error.value.details


def test_misfits_are_listed_one_a_line(tmp_path: Path) -> None:
    """Missing, unexpected and misshapen weights are all said, with their shapes."""
    path = tmp_path / "a.safetensors"
    save_file({"0.weight": torch.zeros(3, 2), "0.bias": torch.zeros(4), "x": torch.zeros(1)}, path)
    model = net()
    before = weights_hash(model)
    summary, details = misfits(model, path)
    assert "6 differ in name or shape" in summary
    assert details == (
        "missing: 1.weight, (3,)",
        "missing: 1.bias, (3,)",
        "missing: 1.running_mean, (3,)",
        "missing: 1.running_var, (3,)",
        "unexpected: x, (1,)",
        "shape: 0.bias is (4,), the model needs (3,)",
    )
    assert weights_hash(model) == before


def test_a_long_list_is_cut(tmp_path: Path) -> None:
    """Of many misfits the first are named and the others counted."""
    path = tmp_path / "a.safetensors"
    save_file({f"w{i}": torch.zeros(1) for i in range(100)}, path)
    _, details = misfits(nn.Linear(1, 1), path)
    assert len(details) == state_dict.MAX_LISTED + 1
    assert details[-1] == f"and {102 - state_dict.MAX_LISTED} more"


def test_another_head_is_answered_with_the_option(tmp_path: Path) -> None:
    """A file that differs in the number of outputs alone says what builds so many."""
    path = tmp_path / "a.safetensors"
    save_file(nn.Linear(2, 7).state_dict(), path)
    summary, details = misfits(nn.Linear(2, 3), path)
    assert "--classes 7 builds it" in summary
    assert len(details) == 2
    assert "--classes" not in misfits(nn.Linear(4, 3), path)[0]


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: s,
        lambda s: {"state_dict": s, "epoch": 3},
        lambda s: {"model": s, "optimizer": {"lr": 0.1}},
        lambda s: {"model": {"state_dict": s}},
        lambda s: {f"module.{name}": tensor for name, tensor in s.items()},
        lambda s: {f"_orig_mod.module.{name}": tensor for name, tensor in s.items()},
        lambda s: {"state_dict": {f"model._orig_mod.{name}": t for name, t in s.items()}},
        lambda s: {"n_averaged": torch.tensor(9), **{f"module.{n}": t for n, t in s.items()}},
        lambda s: {name: t for name, t in s.items() if "num_batches" not in name},
    ],
)  # fmt: skip
def test_wrappings_of_training_scripts_come_off(tmp_path: Path, wrap) -> None:
    """Nested dicts, prefixes of names and counters without effect do not stand in the way."""
    model, path = net(), tmp_path / "a.pt"
    torch.save(wrap(model.state_dict()), path)
    other = net()
    state_dict.load(other, path)
    assert weights_hash(other) == weights_hash(model)


def test_names_that_are_the_models_own_are_no_prefixes(tmp_path: Path) -> None:
    """A network whose parts are called like a prefix keeps its names."""
    model, path = nn.ModuleDict({"model": net(), "module": net()}), tmp_path / "a.safetensors"
    save_file(model.state_dict(), path)
    other = nn.ModuleDict({"model": net(), "module": net()})
    state_dict.load(other, path)
    assert weights_hash(other) == weights_hash(model)


class Malicious:
    """Runs code when unpickled."""

    def __reduce__(self):
        return print, ("code ran",)


def test_code_in_a_pt_file_is_refused(tmp_path: Path, capsys) -> None:
    """A pickle that would run code is refused and runs nothing."""
    path = tmp_path / "a.pt"
    torch.save({"x": Malicious()}, path)
    with pytest.raises(RbmixError, match="refused: it holds more than tensors"):
        state_dict.load(net(), path)
    path.write_bytes(pickle.dumps(Malicious()))
    with pytest.raises(RbmixError, match=r"refused|damaged"):
        state_dict.load(net(), path)
    assert "code ran" not in capsys.readouterr().out


@pytest.mark.parametrize("content", [{"epoch": 3}, [1, 2], {"state_dict": {"a": 1}}])
def test_pt_without_a_state_dict(tmp_path: Path, content) -> None:
    """Anything but a dict of tensors is refused."""
    path = tmp_path / "a.pth"
    torch.save(content, path)
    with pytest.raises(RbmixError, match="not a state dict"):
        state_dict.load(net(), path)


@pytest.mark.parametrize("name", ["a.ckpt", "a.bin", "weights"])
@pytest.mark.parametrize("save", [torch.save, save_file])
def test_any_name_will_do(tmp_path: Path, name: str, save) -> None:
    """The content tells what a file is; a checkpoint of Lightning ends in `.ckpt`."""
    model, other = net(), net()
    save(model.state_dict(), tmp_path / name)
    state_dict.load(other, tmp_path / name)
    assert weights_hash(other) == weights_hash(model)


def test_missing_and_foreign_files(tmp_path: Path) -> None:
    """A file that is not there, is damaged or is no weights is named."""
    with pytest.raises(RbmixError, match="does not exist"):
        state_dict.load(net(), tmp_path / "no.pt")
    odd = tmp_path / "a.bin"
    odd.write_bytes(b"x")
    with pytest.raises(RbmixError, match=r"a\.bin is neither a safetensors file nor one that"):
        state_dict.load(net(), odd)
    half = tmp_path / "half.safetensors"
    half.write_bytes(b"x")
    with pytest.raises(RbmixError, match="half.safetensors is damaged"):
        state_dict.load(net(), half)
