"""timm's networks, where the package is installed."""

from __future__ import annotations

import pytest

from robustbench_mix.errors import RbmixError
from robustbench_mix.models.sources import registry

pytest.importorskip("timm")


def test_timms_weights_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights of timm that are not here, or that it does not have, are one line."""
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", "nowhere")
    for word in ("timm:resnet10t", "timm:resnet26t.nothing"):
        with pytest.raises(RbmixError) as error:
            registry.parse(word).load_pretrained()
        assert word.split(".")[0] in str(error.value)
        assert "\n" not in str(error.value)
