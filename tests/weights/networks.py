"""The small networks that tests come with: what training gives differs from machine to machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from agreement import Copied
from safetensors.numpy import load_file

from robustbench_mix.config.model import ModelSpec
from robustbench_mix.data import loaders
from robustbench_mix.evaluation import load_model
from robustbench_mix.runtime import progress
from robustbench_mix.training.load_or_train import TrainedModel, load_checkpoint

FOLDER = Path(__file__).parent
MODEL = "resnet14_w4"
SPECS = {
    "learned": ModelSpec(MODEL),
    "frozen": ModelSpec(MODEL, "frozen"),
    "same": ModelSpec(MODEL, "same"),
    "box": ModelSpec(MODEL, "box"),
    "smoothed": ModelSpec(MODEL, "smoothed:2"),
    "channel-frozen": ModelSpec(MODEL, channel="frozen"),
    "adversarial": ModelSpec(MODEL),
    "convmixer": ModelSpec("convmixer16_2_k3_p1"),
    "convmixer-frozen": ModelSpec("convmixer16_2_k3_p1", "frozen"),
    "multiplier-2": ModelSpec("resnet14_w4_d2"),
}


def path(name: str) -> Path:
    """The file of a network, ours or of scikit-learn."""
    return FOLDER / f"{name}.safetensors"


def load(name: str) -> TrainedModel:
    """The network, in eval mode, with the header of its checkpoint; a fresh copy at each call."""
    with progress.silenced():
        return load_checkpoint(SPECS[name], loaders.load("digits"), path(name))


def scikit(name: str) -> Copied:
    """The copy of a classifier that scikit-learn trained, `linear` or `mlp`."""
    kept = {key: array.astype(float) for key, array in load_file(path(name)).items()}
    weights, biases = (
        [kept[f"{kind}{at}"] for at in range(len(kept) // 2)] for kind in ("weight", "bias")
    )
    return Copied(weights, biases)


def lend(patch: pytest.MonkeyPatch) -> None:
    """Give these to commands that would train a small ResNet, by its spatial mixers."""
    patch.setattr(load_model, "load_or_train", lambda spec, *_, **__: load(spec.spatial))
