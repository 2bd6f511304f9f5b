"""Networks of the Hugging Face hub, from a cache that is offline."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from robustbench_mix.data.shape import run_on_blank_image
from robustbench_mix.errors import RbmixError
from robustbench_mix.models import factory
from robustbench_mix.models.sources import registry

SHAPE = factory.Shape(channels=3, size=32, classes=5)


@pytest.fixture
def fake_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """A cache of the hub, offline, that holds one repository; the network that is in it."""
    timm = pytest.importorskip("timm")
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "models--me--net"
    snapshot = repository / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    config = {
        "architecture": "resnet10t", "num_classes": 6, "num_features": 512,
        "pretrained_cfg": {"mean": [0.1, 0.2, 0.3], "std": [0.5, 0.5, 0.5], "num_classes": 6},
    }  # fmt: skip
    (snapshot / "config.json").write_text(json.dumps(config))
    torch.manual_seed(7)
    net = timm.create_model("resnet10t", num_classes=6)
    save_file(net.state_dict(), snapshot / "model.safetensors")
    return net


def test_the_hub_gives_architecture_weights_and_standardisation(fake_hub: nn.Module) -> None:
    """A repository in timm's format is loaded by the hub's own client, its commit recorded."""
    found = registry.parse("hf:me/net").load_pretrained()
    for name, tensor in found.model.state_dict().items():
        assert torch.equal(tensor, fake_hub.state_dict()[name])
    assert found.weights == "hf:me/net@0123456789ab"
    assert found.mean == (0.1, 0.2, 0.3)
    fresh = registry.parse("hf:me/net").build(SHAPE)
    assert run_on_blank_image(fresh, SHAPE).shape == (1, 5)
    assert not torch.equal(fresh.conv1[0].weight, fake_hub.conv1[0].weight)


def test_what_the_hub_does_not_have(fake_hub: nn.Module, tmp_path: Path) -> None:
    """Another repository offline, another format and missing weights are one line each."""
    with pytest.raises(RbmixError, match="'hf:me/other' .*could not be downloaded") as error:
        registry.parse("hf:me/other").load_pretrained()
    assert "\n" not in str(error.value)
    (snapshot,) = (tmp_path / "models--me--net" / "snapshots").iterdir()
    (snapshot / "model.safetensors").unlink()
    with pytest.raises(RbmixError, match="'hf:me/net' .*could not be downloaded"):
        registry.parse("hf:me/net").load_pretrained()
    (snapshot / "config.json").write_text(json.dumps({"architectures": ["BertModel"]}))
    with pytest.raises(RbmixError, match="'hf:me/net' is not in timm's format"):
        registry.parse("hf:me/net").load_pretrained()
