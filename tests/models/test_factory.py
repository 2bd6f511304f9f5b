"""Every registered model in every variant."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from robustbench_mix.config import catalog
from robustbench_mix.config.model import STATIC, ModelSpec
from robustbench_mix.config.training import recipe_for
from robustbench_mix.data.dataset import Split
from robustbench_mix.errors import RbmixError
from robustbench_mix.models import checkpoint, factory, mixers
from robustbench_mix.models.checkpoint import CheckpointHeader
from robustbench_mix.training.classifier import train

MEAN, STD = torch.tensor([0.4, 0.5, 0.6]), torch.tensor([0.2, 0.3, 0.25])
SHAPE = factory.Shape(channels=3, size=8, classes=5)
MODES = ("learned", "frozen", *STATIC, "smoothed:2", "smoothed:2:rescaled")

# Printed in arXiv 2503.16760: Full, Chans, Space.
PAPER = {
    "resnet14": (205_149, 172_506, 34_221),
    **{
        f"resnet{6 * n + 2}": (
            205_149 + (n - 2) * 115_360,
            172_506 + (n - 2) * 97_216,
            34_221 + (n - 2) * 18_592,
        )
        for n in (3, 4, 5, 6)
    },
    "convmixer4": (103_434, 70_154, 37_386),
    "convmixer6": (154_122, 104_202, 55_050),
    "convmixer8": (204_810, 138_250, 72_714),
}


def build(name: str, spatial: str = "learned", channel: str = "learned", seed: int = 0):
    """A small-input network of the zoo."""
    return factory.build(ModelSpec(name, spatial, channel, seed), SHAPE, MEAN, STD)


def tiny_split(n: int = 20) -> Split:
    """Random images in the shape of `SHAPE`."""
    images = torch.randint(0, 256, (n, 3, 8, 8), dtype=torch.uint8)
    return Split(images, torch.arange(n) % SHAPE.classes, torch.arange(n), 255)


@pytest.mark.parametrize("name", PAPER)
def test_trainable_parameters_are_the_papers(name: str) -> None:
    """Full, Chans and Space have exactly the counts that the paper prints."""
    assert tuple(factory.trainable_parameters(name).values()) == PAPER[name]


@pytest.mark.default
@pytest.mark.parametrize("spatial", MODES)
@pytest.mark.parametrize("name", catalog.MODELS)
def test_every_model_in_every_mode_runs_and_round_trips(
    name: str, spatial: str, tmp_path: Path
) -> None:
    """It builds, maps pixels to logits, and comes back from a checkpoint bit for bit."""
    model = build(name, spatial).eval()
    x = torch.rand(2, 3, 8, 8)
    with torch.no_grad():
        logits = model(x)
    assert logits.shape == (2, 5)
    assert logits.isfinite().all()
    path = tmp_path / "model.safetensors"
    checkpoint.save(model, CheckpointHeader(spec=ModelSpec(name)), path)
    again = build(name, spatial, seed=1).eval()
    assert checkpoint.load(again, path).spec == ModelSpec(name)
    with torch.no_grad():
        assert torch.equal(again(x), logits)


@pytest.mark.default
@pytest.mark.parametrize("channel", ["learned", "frozen"])
@pytest.mark.parametrize("spatial", ["learned", "frozen", "box"])
@pytest.mark.parametrize(
    "name", ["resnet14_w4", "resnet18_d2", "convmixer8_2_k3_p1", "torchvision:shufflenet_v2_x0_5"]
)
def test_frozen_parameters_survive_training_bit_for_bit(name, spatial, channel) -> None:
    """An epoch of training changes what is learned and nothing that is frozen."""
    model = build(name, spatial, channel)
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    frozen = {n for n, p in model.named_parameters() if not p.requires_grad}
    recipe = replace(recipe_for(name, "digits"), epochs=1, batch_size=8)
    train(model, tiny_split(), tiny_split(), recipe, 0, torch.device("cpu"))
    changed = {n for n, p in model.named_parameters() if not torch.equal(p, before[n])}
    assert changed == before.keys() - frozen
    assert bool(frozen) is ((spatial, channel) != ("learned", "learned"))


@pytest.mark.default
@pytest.mark.parametrize("spatial", MODES[1:])
@pytest.mark.parametrize("name", ["resnet14_w4", "resnet18_d2", "convmixer8_2_k3_p1"])
def test_variants_of_one_seed_share_their_initial_weights(name: str, spatial: str) -> None:
    """Only the spatial filters may differ from the learned twin's; frozen ones do not."""
    learned, other = build(name), build(name, spatial)
    spatial_weights = {id(conv.weight) for conv in mixers.spatial_mixers(learned)}
    for (n, p), q in zip(learned.named_parameters(), other.parameters(), strict=True):
        if spatial == "frozen" or id(p) not in spatial_weights:
            assert torch.equal(p, q), n


def test_seeds_give_different_weights_and_leave_the_random_state_alone() -> None:
    """Building draws from its own seed and from nowhere else."""
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, second = build("resnet14_w4", seed=0), build("resnet14_w4", seed=1)
    assert torch.equal(torch.rand(3), expected)
    assert not torch.equal(first.net.stem.depthwise.weight, second.net.stem.depthwise.weight)


def test_pixels_are_normalised_inside() -> None:
    """The mean image meets the network as zeros."""
    model = build("resnet14_w4").eval()
    seen = []
    model.net.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    model(MEAN.view(1, 3, 1, 1).expand(1, 3, 8, 8) + STD.view(1, 3, 1, 1))
    torch.testing.assert_close(seen[0], torch.ones(1, 3, 8, 8))


def test_patch_larger_than_the_image() -> None:
    """A patch that does not fit is refused with both sizes."""
    with pytest.raises(RbmixError, match="patch 9 is larger than the image .8 pixels"):
        build("convmixer8_2_k3_p9")
