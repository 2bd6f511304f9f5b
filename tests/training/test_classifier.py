"""Training: schedule, augmentation, determinism, and the sameness of twins."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from brightness import fresh, split

from robustbench_mix.config.canonical import as_json
from robustbench_mix.config.training import Adversarial, NFgsm, recipe_for
from robustbench_mix.errors import RbmixError
from robustbench_mix.training import classifier
from robustbench_mix.training.averaging import copy_weights
from robustbench_mix.training.loop import learning_rate_factor

CPU = torch.device("cpu")
RECIPE = replace(recipe_for("resnet", "digits"), epochs=2, batch_size=8, lr=0.05, flip=True)


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


TINY = replace(RECIPE, n_fgsm=NFgsm("8/255"), epochs=1, batch_size=10)


def test_averaging_changes_the_weights_that_are_kept_and_nothing_else() -> None:
    """The last weights are those of the same training without; both accuracies are their own."""
    plain, averaged = fresh("frozen"), fresh("frozen")
    start = copy_weights(plain)
    first = classifier.train(plain, split(), split(), TINY, 0, CPU)
    recipe = replace(TINY, averaging=0.9995)
    second = classifier.train(averaged, split(), split(), recipe, 0, CPU)
    assert first.last is None
    assert second.last is not None
    assert second.last.test_accuracy == first.test_accuracy
    assert second.test_accuracy == classifier.accuracy(averaged, split(), CPU)
    for name, tensor in plain.state_dict().items():
        assert torch.equal(second.last.weights[name], tensor), name
    assert not torch.equal(averaged.net.head.weight, plain.net.head.weight)
    frozen = [name for name, p in averaged.named_parameters() if not p.requires_grad]
    assert frozen
    for name in frozen:
        assert torch.equal(averaged.get_parameter(name), start[name]), name


def test_smoothed_labels_are_another_training() -> None:
    """And only the labels of the training step are smoothed, not those of the attack."""
    weights = []
    for smoothing in (None, 0.2, 0.2):
        model = fresh()
        recipe = replace(TINY, label_smoothing=smoothing)
        classifier.train(model, split(), split(), recipe, 0, CPU)
        weights.append(model.net.head.weight)
    assert not torch.equal(weights[0], weights[1])
    assert torch.equal(weights[1], weights[2])


@pytest.mark.default
def test_n_fgsm_in_mixed_precision_learns_in_float32() -> None:
    """With averages, too."""
    model = fresh()
    recipe = replace(TINY, epochs=8, precision="bf16", averaging=0.9995)
    trained = classifier.train(model, split(90), split(60), recipe, 0, CPU)
    assert trained.test_accuracy > 0.9
    assert {p.dtype for p in model.parameters()} == {torch.float32}
