"""The network of a plan: its recipe, its name, and the checkpoint that it has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import networks
import pytest
import torch
from torch import nn

from robustbench_mix.config.model import Interface, ModelSpec
from robustbench_mix.config.training import AVERAGING, Adversarial, NFgsm, Training, recipe_for
from robustbench_mix.config.weights import WeightsFile
from robustbench_mix.data import loaders
from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation.identity import Label
from robustbench_mix.evaluation.load_model import (
    checkpoint_header,
    is_pretrained,
    label_of,
    load_model,
    recipe_of,
)
from robustbench_mix.evaluation.model_plan import module_plan, trained_model
from robustbench_mix.storage.files import write_bytes
from robustbench_mix.training.load_or_train import split_and_checkpoint_path

CPU = torch.device("cpu")


def test_the_recipe_with_the_users_changes() -> None:
    """What is not changed stays; the radius is that of the data set unless one is named."""
    spec = ModelSpec(networks.MODEL)
    usual = recipe_for(networks.MODEL, "digits")
    assert recipe_of(trained_model(spec), "digits", CPU) == usual
    training = Training(epochs=3, lr=0.5, adversarial=True)
    found = recipe_of(trained_model(spec, training), "digits", CPU)
    assert (found.epochs, found.lr, found.adversarial) == (3, 0.5, Adversarial("2/16"))
    assert (found.batch_size, found.precision) == (usual.batch_size, "fp32")
    assert (found.averaging, found.label_smoothing) == (AVERAGING, None)
    training = Training(adversarial=True, adversarial_attack="n-fgsm", averaging=0)
    found = recipe_of(trained_model(spec, training), "digits", CPU)
    assert found == replace(usual, n_fgsm=NFgsm("2/16"))


def test_the_label_shows_what_the_interface_changes() -> None:
    """As records name the network."""
    spec = ModelSpec("resnet14", "frozen", seed=2, interface=Interface(16))
    assert label_of(trained_model(spec)) == Label("resnet14 [16 px]", "frozen", "learned", 2)


def test_a_checkpoint_takes_the_place_of_training() -> None:
    """It is rbmix's own: the network keeps its words."""
    plan = trained_model(networks.SPECS["frozen"]).with_weights(networks.path("frozen"))
    assert not is_pretrained(plan)
    label, trained = load_model(plan, loaders.load("digits"), CPU)
    assert label.spatial == "frozen"
    assert trained.path == networks.path("frozen")


def test_the_header_of_a_kept_checkpoint(home: Path) -> None:
    """Of exactly these settings; None before there is one."""
    plan, digits = trained_model(networks.SPECS["learned"]), loaders.load("digits")
    assert checkpoint_header(plan, digits, CPU) is None
    recipe = recipe_of(plan, "digits", CPU)
    _, path = split_and_checkpoint_path(plan.spec, digits, recipe)
    write_bytes(path, networks.path("learned").read_bytes())
    assert checkpoint_header(plan, digits, CPU).spec.model == networks.MODEL
    write_bytes(path, networks.path("frozen").read_bytes())
    assert checkpoint_header(plan, digits, CPU) is None


def test_a_module_with_more_outputs_than_classes() -> None:
    """Which of them the classes are has to be said, for modules as for names."""
    wide = nn.Sequential(nn.Flatten(), nn.Linear(64, 1000))
    digits = loaders.load("digits")
    with pytest.raises(RbmixError, match=r"1,000 outputs, not 10, .*--class-index FILE"):
        load_model(module_plan(wide), digits, CPU)
    said = replace(digits, labels_are_outputs=True)
    assert load_model(module_plan(wide), said, CPU)[1].model is wide


def test_keys_go_with_foreign_files() -> None:
    """A checkpoint of rbmix has one set of weights."""
    plan = trained_model(networks.SPECS["frozen"])
    plan = replace(plan, weights=WeightsFile(networks.path("frozen"), "model_ema"))
    with pytest.raises(RbmixError, match="is a checkpoint of rbmix, with one set of weights"):
        load_model(plan, loaders.load("digits"), CPU)
