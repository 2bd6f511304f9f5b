"""Training: schedule, augmentation, determinism, and the sameness of twins."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from robustbench_mix.config.canonical import as_json
from robustbench_mix.config.model import ModelSpec
from robustbench_mix.config.training import Adversarial, recipe_for
from robustbench_mix.data.dataset import Split
from robustbench_mix.errors import RbmixError
from robustbench_mix.models import factory
from robustbench_mix.training import classifier
from robustbench_mix.training.loop import learning_rate_factor

CPU = torch.device("cpu")
RECIPE = replace(recipe_for("resnet", "digits"), epochs=2, batch_size=8, lr=0.05, flip=True)


def split(n: int = 30) -> Split:
    """Images whose brightness tells the class."""
    labels = torch.arange(n) % 3
    noise = torch.randint(0, 40, (n, 1, 6, 6), generator=torch.Generator().manual_seed(n))
    images = (labels * 80)[:, None, None, None] + noise
    return Split(images.to(torch.uint8), labels, torch.arange(n), 255)


def fresh(spatial: str = "learned", seed: int = 0) -> factory.Normalized:
    """A small network for `split`."""
    spec = ModelSpec("resnet14_w4", spatial, seed=seed)
    return factory.build(spec, factory.Shape(1, 6, 3), torch.tensor([0.4]), torch.tensor([0.3]))


def test_learning_rate_rises_and_falls() -> None:
    """Linear up to the peak, then a cosine to nearly zero."""
    rates = [learning_rate_factor(step, 100, 0.2) for step in range(100)]
    assert rates[19] == pytest.approx(1)
    assert rates[:20] == sorted(rates[:20])
    assert rates[20:] == sorted(rates[20:], reverse=True)
    assert rates[-1] < 0.001


def test_augmentation_moves_whole_images() -> None:
    """Each output is a shifted, possibly mirrored copy: checked against slicing."""
    images = torch.randint(1, 256, (40, 2, 5, 4), dtype=torch.uint8)
    out = classifier.augment(images, 1, True, torch.Generator().manual_seed(0))
    assert out.shape == images.shape
    padded = torch.nn.functional.pad(images, (1, 1, 1, 1))
    seen = set()
    for image, result in zip(padded, out, strict=True):
        candidates = {
            (top, left, flip): window.flip(2) if flip else window
            for top in range(3)
            for left in range(3)
            for flip in (False, True)
            for window in [image[:, top : top + 5, left : left + 4]]
        }
        matching = [key for key, value in candidates.items() if torch.equal(value, result)]
        assert len(matching) == 1
        seen.add(matching[0])
    assert len(seen) > 10


def test_no_augmentation_without_pad_and_flip() -> None:
    """Pad 0 and no flip give the images back."""
    images = torch.randint(0, 256, (4, 3, 5, 5), dtype=torch.uint8)
    out = classifier.augment(images, 0, False, torch.Generator().manual_seed(0))
    assert torch.equal(out, images)


@pytest.mark.default
def test_training_is_deterministic_in_the_seed() -> None:
    """The same seed gives the same weights, another seed others."""
    outcomes = []
    for seed in (0, 0, 1):
        model = fresh()
        classifier.train(model, split(), split(), RECIPE, seed, CPU)
        outcomes.append(model.net.head.weight.detach().clone())
    assert torch.equal(outcomes[0], outcomes[1])
    assert not torch.equal(outcomes[0], outcomes[2])


def test_twins_see_the_same_pixels_in_the_same_order() -> None:
    """Data order and augmentation do not depend on the variant."""
    seen: dict[str, list[torch.Tensor]] = {"learned": [], "frozen": []}
    for spatial, inputs in seen.items():
        model = fresh(spatial)
        hook = model.register_forward_pre_hook(lambda _, args, kept=inputs: kept.append(args[0]))
        classifier.train(model, split(), split(), RECIPE, 0, CPU)
        hook.remove()
    assert len(seen["learned"]) > 8
    for first, second in zip(*seen.values(), strict=True):
        assert torch.equal(first, second)


@pytest.mark.default
def test_training_learns_and_reports() -> None:
    """Brightness is easy: the reported accuracy is that of the returned weights."""
    model = fresh("frozen")
    recipe = replace(RECIPE, epochs=8)
    trained = classifier.train(model, split(90), split(60), recipe, 0, CPU)
    assert trained.test_accuracy > 0.9
    assert trained.test_accuracy == classifier.accuracy(model, split(60), CPU, batch=7)
    assert not model.training


def test_divergence_is_said() -> None:
    """A loss that is not finite stops training with the rate that caused it."""
    with pytest.raises(RbmixError, match=r"training loss became .*lr 1e\+30"):
        classifier.train(fresh(), split(90), split(), replace(RECIPE, lr=1e30), 0, CPU)


@pytest.mark.default
def test_bf16_training_runs_on_the_cpu() -> None:
    """Mixed precision keeps float32 weights and still learns."""
    model = fresh()
    recipe = replace(RECIPE, epochs=8, precision="bf16")
    trained = classifier.train(model, split(90), split(60), recipe, 0, CPU)
    assert trained.test_accuracy > 0.9
    assert all(p.dtype == torch.float32 for p in model.parameters())


def test_perturbed_images_stay_in_the_ball_and_raise_the_loss() -> None:
    """PGD examples lie within eps and the box, are harder, and leave mode and statistics."""
    model, x, y = fresh().train(), split().pixels(), split().labels
    before = {name: value.clone() for name, value in model.state_dict().items()}
    autocast = torch.autocast("cpu", dtype=torch.bfloat16, enabled=False)
    how = Adversarial("8/255")
    x_adv = classifier.perturb(model, x, y, how, torch.Generator().manual_seed(0), autocast)
    assert (x_adv - x).abs().max() <= 8 / 255 + 1e-6
    assert 0 <= x_adv.min() <= x_adv.max() <= 1
    assert model.training
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    model.eval()
    loss = torch.nn.functional.cross_entropy
    assert loss(model(x_adv), y) > loss(model(x), y)


@pytest.mark.default
def test_adversarial_training_is_deterministic_and_another_recipe() -> None:
    """Same seed, same weights; not those of ordinary training; a checkpoint of its own."""
    data, recipe = split(), replace(RECIPE, adversarial=Adversarial("8/255", steps=2))
    weights = []
    for chosen in (recipe, recipe, RECIPE):
        model = fresh()
        classifier.train(model, data, data, chosen, 0, CPU)
        weights.append(model.net.head.weight)
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert "adversarial" not in as_json(RECIPE)
    assert as_json(recipe)["adversarial"]["eps"] == "8/255"
