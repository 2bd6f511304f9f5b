"""The plan of a network: who is trained, and a file in the place of training."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch import nn

from robustbench_mix.config.model import ModelSpec
from robustbench_mix.config.training import Training
from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation.model_plan import model_plan, module_plan, trained_model

pytestmark = pytest.mark.quick


def test_who_is_trained() -> None:
    """A network without weights of its own, and a variant of one with."""
    assert model_plan("resnet14").is_trained
    assert model_plan("timm:any").is_trained
    assert model_plan("json:loads", channel="frozen").is_trained
    assert not model_plan("json:loads").is_trained
    assert not model_plan("timm:any", pretrained=True).is_trained
    assert not module_plan(nn.Identity()).is_trained
    with pytest.raises(RbmixError, match="comes with its weights"):
        module_plan(nn.Identity(), training=Training(epochs=3))


def test_a_file_takes_the_place_of_training(tmp_path: Path) -> None:
    """And of what was to be changed in the recipe."""
    (tmp_path / "w.safetensors").touch()
    plan = trained_model(ModelSpec("resnet14"), Training(epochs=3))
    found = plan.with_weights(tmp_path / "w.safetensors")
    assert (found.spec, found.training, found.is_trained) == (plan.spec, Training(), False)
