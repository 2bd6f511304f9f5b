"""Networks are added to a zoo under their names, and its table follows from them."""

from __future__ import annotations

import shutil
from pathlib import Path

import networks
import pytest
from msgspec.structs import replace
from safetensors.torch import save_file

from robustbench_mix.config import zoo
from robustbench_mix.errors import RbmixError
from robustbench_mix.models import checkpoint, zoo_folder

LEARNED = "resnet14_w4-learned-learned-s0-digits"


def test_a_network_is_added_once(tmp_path: Path) -> None:
    """Under the name of its settings, byte for byte; the same again changes nothing."""
    written = zoo_folder.add([networks.path("learned")], tmp_path)
    assert [path.name for path in written] == [f"{LEARNED}.safetensors", zoo.TABLE]
    assert written[0].read_bytes() == networks.path("learned").read_bytes()
    assert zoo_folder.add([networks.path("learned")], tmp_path) == []
    (entry,) = zoo.parse_table(written[1].read_bytes(), "here")
    header = checkpoint.read_header(networks.path("learned"))
    assert (entry.weights_hash, entry.test_accuracy) == (header.weights_hash, header.test_accuracy)
    assert entry.size_bytes == written[0].stat().st_size


def test_names(tmp_path: Path) -> None:
    """Adversarial training shows; another network needs another name."""
    headers = [checkpoint.read_header(networks.path(one)) for one in ("adversarial", "smoothed")]
    assert [zoo_folder.default_name(one) for one in headers] == [
        f"{LEARNED}-adversarial",
        "resnet14_w4-smoothed2-learned-s0-digits",
    ]
    zoo_folder.add([networks.path("learned")], tmp_path, "mine")
    with pytest.raises(RbmixError, match="is another network than .*--name gives it another"):
        zoo_folder.add([networks.path("frozen")], tmp_path, "mine")
    with pytest.raises(RbmixError, match="--name mine goes with one checkpoint, not with 2"):
        zoo_folder.add([networks.path("frozen"), networks.path("learned")], tmp_path, "mine")
    with pytest.raises(RbmixError, match="other characters than a file's"):
        zoo_folder.add([networks.path("frozen")], tmp_path, "../mine")
    assert [path.name for path in tmp_path.glob("*.safetensors")] == ["mine.safetensors"]


def test_what_is_no_whole_checkpoint(tmp_path: Path) -> None:
    """Changed weights, and a header that does not say how it was trained; nothing is added."""
    trained = networks.load("learned")
    with pytest.raises(RbmixError, match="do not match the header's hash"):
        path = tmp_path / "changed.safetensors"
        checkpoint.save(trained.model, trained.header, path)
        raw = path.read_bytes()
        path.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
        zoo_folder.add([networks.path("frozen"), path], tmp_path / "zoo")
    with pytest.raises(RbmixError, match="does not say how it was trained"):
        path = tmp_path / "bare.safetensors"
        checkpoint.save(trained.model, replace(trained.header, recipe=None), path)
        zoo_folder.add([path], tmp_path / "zoo")
    with pytest.raises(RbmixError, match="not rbmix's"):
        path = tmp_path / "foreign.safetensors"
        save_file({}, path)
        zoo_folder.add([path], tmp_path / "zoo")
    assert not (tmp_path / "zoo").exists()


def test_the_table_follows_from_the_files(tmp_path: Path) -> None:
    """A file that is gone is gone from it."""
    zoo_folder.add([networks.path("learned"), networks.path("frozen")], tmp_path)
    shutil.move(tmp_path / f"{LEARNED}.safetensors", tmp_path / "b.safetensors")
    ((path, text),) = zoo_folder.content(tmp_path).items()
    assert text != path.read_text()
    assert zoo_folder.add([], tmp_path) == [path]
    names = [one.name for one in zoo.parse_table(path.read_bytes(), "here")]
    assert names == ["b", "resnet14_w4-frozen-learned-s0-digits"]
