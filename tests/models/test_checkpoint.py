"""Checkpoints: what is written is read back, and what is wrong is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from robustbench_mix.config.model import ModelSpec
from robustbench_mix.config.training import recipe_for
from robustbench_mix.errors import RbmixError
from robustbench_mix.models import checkpoint
from robustbench_mix.models.checkpoint import CheckpointHeader


def net(width: int = 3) -> nn.Module:
    """A small module with parameters and buffers."""
    return nn.Sequential(nn.Linear(2, width), nn.BatchNorm1d(width))


def test_round_trip(tmp_path: Path) -> None:
    """Weights and header survive, and the hash is of the weights."""
    model, path = net(), tmp_path / "a.safetensors"
    checkpoint.save(model, CheckpointHeader(dataset="ü"), path)
    other = net()
    assert checkpoint.weights_hash(other) != checkpoint.weights_hash(model)
    header = checkpoint.load(other, path)
    assert header.dataset == "ü"
    assert header.weights_hash == checkpoint.weights_hash(other)
    assert checkpoint.weights_hash(other) == checkpoint.weights_hash(model)


def test_hash_sees_names_and_shapes() -> None:
    """The same numbers under another name or shape hash differently."""
    first, second = nn.Linear(2, 3, bias=False), nn.Linear(3, 2, bias=False)
    second.weight.data = first.weight.data.reshape(2, 3)
    assert checkpoint.weights_hash(first) != checkpoint.weights_hash(second)
    assert checkpoint.weights_hash(nn.Sequential(first)) != checkpoint.weights_hash(first)


def test_swapped_weights_are_noticed(tmp_path: Path) -> None:
    """A file whose weights are not those of its header is refused."""
    path = tmp_path / "a.safetensors"
    checkpoint.save(net(), CheckpointHeader(), path)
    header = checkpoint.read_header(path)
    save_file(net().state_dict(), path, {checkpoint.KEY: json.dumps(checkpoint.as_plain(header))})
    with pytest.raises(RbmixError, match="do not match the header"):
        checkpoint.load(net(), path)


def test_truncated_file(tmp_path: Path) -> None:
    """Half a file is damaged, in one line."""
    path = tmp_path / "a.safetensors"
    checkpoint.save(net(), CheckpointHeader(), path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(RbmixError, match="is damaged") as error:
        checkpoint.load(net(), path)
    assert "\n" not in str(error.value)


def test_a_file_of_another_maker_is_no_checkpoint(tmp_path: Path) -> None:
    """Weights without a header are not taken for trained ones."""
    plain = tmp_path / "plain.safetensors"
    save_file({"a": torch.zeros(1)}, plain)
    with pytest.raises(RbmixError, match="damaged or not rbmix's"):
        checkpoint.read_header(plain)


def test_path_depends_on_every_setting(home: Path) -> None:
    """Another seed, recipe or data set is another checkpoint."""
    recipe = recipe_for("resnet", "digits")
    paths = {
        checkpoint.path_for(ModelSpec("resnet14"), recipe, "digits", "abc"),
        checkpoint.path_for(ModelSpec("resnet14", seed=1), recipe, "digits", "abc"),
        checkpoint.path_for(ModelSpec("resnet14"), recipe_for("resnet", "x"), "digits", "abc"),
        checkpoint.path_for(ModelSpec("resnet14"), recipe, "digits", "abd"),
    }
    assert len(paths) == 4
    assert all(path.is_relative_to(home) for path in paths)


def test_written_files_can_be_read_back_by_safetensors(tmp_path: Path) -> None:
    """The file is ordinary safetensors."""
    model, path = net(), tmp_path / "a.safetensors"
    checkpoint.save(model, CheckpointHeader(), path)
    assert load_file(path).keys() == model.state_dict().keys()


def test_committed_headers_keep_their_bytes(checkout: Path) -> None:
    """Read and written again: order, absent fields and the form of numbers stay."""
    from safetensors import safe_open

    folders = (checkout / "results" / "baselines", checkout / "tests" / "weights")
    paths = [path for folder in folders for path in sorted(folder.glob("*.safetensors"))]
    ours = [path for path in paths if checkpoint.is_rbmix_checkpoint(path)]
    assert len(ours) > 2
    for path in ours:
        with safe_open(path, framework="pt") as file:
            raw = file.metadata()[checkpoint.KEY]
        plain = checkpoint.as_plain(checkpoint.read_header(path))
        assert json.dumps(plain, sort_keys=True) == raw
        assert json.dumps(plain) == raw
