"""Torchvision's classifiers: their stem, and their published weights."""

from __future__ import annotations

from urllib.error import URLError

import pytest
import torch

from robustbench_mix.data.shape import run_on_blank_image
from robustbench_mix.errors import RbmixError
from robustbench_mix.models import factory
from robustbench_mix.models.sources import registry


def test_a_grey_data_set_changes_the_stem() -> None:
    """Torchvision's networks take one colour channel, the others of the stem's settings kept."""
    net = registry.parse("torchvision:resnet18").build(factory.Shape(1, 32, 4))
    assert net.conv1.weight.shape == (64, 1, 7, 7)
    assert run_on_blank_image(net, factory.Shape(1, 32, 4)).shape == (1, 4)


def test_published_weights_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights of torchvision that cannot be downloaded are one line; rbmix's own have none."""

    def fails(*_: object, **__: object) -> None:
        raise URLError("no route")

    monkeypatch.setattr("torchvision.models._api.WeightsEnum.get_state_dict", fails)
    with pytest.raises(RbmixError, match="'torchvision:squeezenet1_1' .*could not be downloaded"):
        registry.parse("torchvision:squeezenet1_1").load_pretrained()
    with pytest.raises(RbmixError, match="'resnet14' has no published weights"):
        registry.parse("resnet14").load_pretrained()


def test_torchvisions_weights_come_with_their_standardisation(monkeypatch) -> None:
    """What torchvision publishes is loaded, and brings mean, std and a name."""
    from torchvision import models

    torch.manual_seed(1)
    state = models.squeezenet1_1(weights=None).state_dict()
    monkeypatch.setattr(
        "torchvision.models._api.WeightsEnum.get_state_dict", lambda *_, **__: state
    )
    found = registry.parse("torchvision:squeezenet1_1").load_pretrained()
    assert torch.equal(found.model.features[0].weight, state["features.0.weight"])
    assert (found.weights, found.mean) == ("IMAGENET1K_V1", (0.485, 0.456, 0.406))
