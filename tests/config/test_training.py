"""The recipes of the families on each data set, and what a user changes."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from robustbench_mix.config.canonical import as_json, short_hash
from robustbench_mix.config.training import (
    AVERAGING,
    Adversarial,
    NFgsm,
    Recipe,
    Training,
    adversarial_words,
    recipe_for,
)
from robustbench_mix.errors import RbmixError

RECIPE = recipe_for("resnet", "cifar10")


def test_digits_are_not_mirrored() -> None:
    """A mirrored digit is another sign; photographs may be mirrored."""
    assert not recipe_for("resnet", "digits").flip
    assert recipe_for("convmixer", "cifar10").flip
    assert as_json(recipe_for("resnet", "cifar10"))["optimizer"] == "sgd"


def test_recipes_that_exist_keep_their_keys() -> None:
    """Checkpoints are found by the hash of the recipe: of ordinary training, and of old PGD."""
    assert short_hash(as_json(RECIPE)) == "50e4c435adc8"
    old = replace(RECIPE, adversarial=Adversarial("8/255"))
    assert short_hash(as_json(old)) == "807a9840e10e"
    assert Training(adversarial=True, averaging=0).apply_to(RECIPE, "fp32") == old


def test_every_adversarial_training_has_its_own_key_and_words() -> None:
    """The words are those of records; they begin with the radius."""
    made = {
        "": Training(),
        "8/255": Training(adversarial=True, averaging=0, label_smoothing=0),
        "8/255, averaged 0.9995": Training(adversarial=True),
        "1/255, averaged 0.9": Training(adversarial=True, adversarial_eps="1/255", averaging=0.9),
        "8/255, averaged 0.99999991": Training(adversarial=True, averaging=0.99999991),
        "8/255, averaged 0.9995, label smoothing 0.1": Training(
            adversarial=True, label_smoothing=0.1
        ),
        "8/255, n-fgsm": Training(adversarial=True, adversarial_attack="n-fgsm", averaging=0),
        "8/255, n-fgsm, averaged 0.9995": Training(adversarial=True, adversarial_attack="n-fgsm"),
    }
    recipes = {words: changes.apply_to(RECIPE, "fp32") for words, changes in made.items()}
    assert {adversarial_words(recipe): recipe for recipe in recipes.values()} == recipes
    assert len({short_hash(as_json(recipe)) for recipe in recipes.values()}) == len(made)
    for recipe in recipes.values():
        assert msgspec.convert(as_json(recipe), Recipe) == recipe


def test_the_radius_is_that_of_the_data_unless_one_is_named() -> None:
    """For both attacks."""
    for attack, kind in (("pgd", Adversarial), ("n-fgsm", NFgsm)):
        training = Training(adversarial=True, adversarial_attack=attack)
        found = training.apply_to(RECIPE, "fp32", "2/16")
        assert found.perturbation == kind("2/16")
        assert found.averaging == AVERAGING
        named = replace(training, adversarial_eps="1/16").apply_to(RECIPE, "fp32", "2/16")
        assert named.perturbation == kind("1/16")
        same = replace(training, adversarial_eps="0.125").apply_to(RECIPE, "fp32", "2/16")
        assert same == found  # and so is the checkpoint


@pytest.mark.parametrize("steps", [1, 0])
def test_one_step_needs_noise(steps: int) -> None:
    """FGSM with a random start alone is not on offer."""
    with pytest.raises(RbmixError, match=rf"with {steps} PGD steps \(allowed: 2 or more, or N-"):
        Adversarial("8/255", steps=steps)


def test_a_recipe_has_one_kind_of_examples() -> None:
    """Not both."""
    with pytest.raises(RbmixError, match="PGD examples or on N-FGSM examples, not on both"):
        replace(RECIPE, adversarial=Adversarial("8/255"), n_fgsm=NFgsm("8/255"))
