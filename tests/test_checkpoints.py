"""Checkpoints: what is written is read back, and what is wrong is refused."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from robustbench_mix import checkpoints
from robustbench_mix.errors import RbmixError
from robustbench_mix.recipes import recipe_for
from robustbench_mix.specs import ModelSpec


def net(width: int = 3) -> nn.Module:
    """A small module with parameters and buffers."""
    return nn.Sequential(nn.Linear(2, width), nn.BatchNorm1d(width))


def test_round_trip(tmp_path: Path) -> None:
    """Weights and header survive, and the hash is of the weights."""
    model, path = net(), tmp_path / "a.safetensors"
    checkpoints.save(model, {"note": "ü"}, path)
    other = net()
    assert checkpoints.weights_hash(other) != checkpoints.weights_hash(model)
    header = checkpoints.load(other, path)
    assert header["note"] == "ü"
    assert header["weights_hash"] == checkpoints.weights_hash(other)
    assert checkpoints.weights_hash(other) == checkpoints.weights_hash(model)


def test_hash_sees_names_and_shapes() -> None:
    """The same numbers under another name or shape hash differently."""
    first, second = nn.Linear(2, 3, bias=False), nn.Linear(3, 2, bias=False)
    second.weight.data = first.weight.data.reshape(2, 3)
    assert checkpoints.weights_hash(first) != checkpoints.weights_hash(second)
    assert checkpoints.weights_hash(nn.Sequential(first)) != checkpoints.weights_hash(first)


def test_swapped_weights_are_noticed(tmp_path: Path) -> None:
    """A file whose weights are not those of its header is refused."""
    path = tmp_path / "a.safetensors"
    checkpoints.save(net(), {}, path)
    header = checkpoints.read_header(path)
    save_file(net().state_dict(), path, {checkpoints.KEY: json.dumps(header)})
    with pytest.raises(RbmixError, match="do not match the header"):
        checkpoints.load(net(), path)


def test_truncated_file(tmp_path: Path) -> None:
    """Half a file is damaged, in one line."""
    path = tmp_path / "a.safetensors"
    checkpoints.save(net(), {}, path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(RbmixError, match="is damaged") as error:
        checkpoints.load(net(), path)
    assert "\n" not in str(error.value)


def test_misfits_are_named(tmp_path: Path) -> None:
    """Missing, unknown and misshapen weights are said by name."""
    path = tmp_path / "a.safetensors"
    save_file(net().state_dict(), path)
    with pytest.raises(RbmixError, match=r"'0.bias' is \(3,\), the model needs \(4,\)"):
        checkpoints.load_weights(net(4), path)
    with pytest.raises(RbmixError, match="lacks '2.bias'"):
        checkpoints.load_weights(nn.Sequential(*net(), nn.Linear(3, 3)), path)
    with pytest.raises(RbmixError, match="unknown '1.bias'"):
        checkpoints.load_weights(nn.Sequential(nn.Linear(2, 3)), path)


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"state_dict": s}])
def test_pt_files_load_as_tensors(tmp_path: Path, wrap) -> None:
    """A plain or wrapped state dict in a .pt file fits."""
    model, path = net(), tmp_path / "a.pt"
    torch.save(wrap(model.state_dict()), path)
    other = net()
    checkpoints.load_weights(other, path)
    assert checkpoints.weights_hash(other) == checkpoints.weights_hash(model)


class Malicious:
    """Runs code when unpickled."""

    def __reduce__(self):
        return print, ("code ran",)


def test_code_in_a_pt_file_is_refused(tmp_path: Path, capsys) -> None:
    """A pickle that would run code is refused and runs nothing."""
    path = tmp_path / "a.pt"
    torch.save({"x": Malicious()}, path)
    with pytest.raises(RbmixError, match="refused: it holds more than tensors"):
        checkpoints.load_weights(net(), path)
    path.write_bytes(pickle.dumps(Malicious()))
    with pytest.raises(RbmixError, match=r"refused|damaged"):
        checkpoints.load_weights(net(), path)
    assert "code ran" not in capsys.readouterr().out


@pytest.mark.parametrize("content", [{"epoch": 3}, [1, 2], {"state_dict": {"a": 1}}])
def test_pt_without_a_state_dict(tmp_path: Path, content) -> None:
    """Anything but a dict of tensors is refused."""
    path = tmp_path / "a.pth"
    torch.save(content, path)
    with pytest.raises(RbmixError, match="not a state dict"):
        checkpoints.load_weights(net(), path)


def test_missing_and_foreign_files(tmp_path: Path) -> None:
    """A file that is not there or has another suffix is named."""
    with pytest.raises(RbmixError, match="does not exist"):
        checkpoints.load_weights(net(), tmp_path / "no.pt")
    odd = tmp_path / "a.bin"
    odd.write_bytes(b"x")
    with pytest.raises(RbmixError, match=r"must end in \.safetensors"):
        checkpoints.load_weights(net(), odd)
    plain = tmp_path / "plain.safetensors"
    save_file(load_file_state(), plain)
    with pytest.raises(RbmixError, match="damaged or not rbmix's"):
        checkpoints.read_header(plain)


def load_file_state() -> dict[str, torch.Tensor]:
    """Some tensors without a header."""
    return {"a": torch.zeros(1)}


def test_path_depends_on_every_setting(home: Path) -> None:
    """Another seed, recipe or data set is another checkpoint."""
    recipe = recipe_for("resnet", "digits")
    paths = {
        checkpoints.path_for(ModelSpec("resnet14"), recipe, "digits", "abc"),
        checkpoints.path_for(ModelSpec("resnet14", seed=1), recipe, "digits", "abc"),
        checkpoints.path_for(ModelSpec("resnet14"), recipe_for("resnet", "x"), "digits", "abc"),
        checkpoints.path_for(ModelSpec("resnet14"), recipe, "digits", "abd"),
    }
    assert len(paths) == 4
    assert all(path.is_relative_to(home) for path in paths)


def test_written_files_can_be_read_back_by_safetensors(tmp_path: Path) -> None:
    """The file is ordinary safetensors."""
    model, path = net(), tmp_path / "a.safetensors"
    checkpoints.save(model, {}, path)
    assert load_file(path).keys() == model.state_dict().keys()
