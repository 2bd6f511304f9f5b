"""The training recipes: one per family, the same for every variant of it.

The paper states none. These follow published neighbours: SGD with Nesterov momentum,
shifts and flips as Gavrikov & Keuper (arXiv 2301.11360) use on CIFAR ResNets, and AdamW
for ConvMixer as its authors do (arXiv 2201.09792), shortened to what a laptop can run.
"""

from __future__ import annotations

from dataclasses import replace

from robustbench_mix.specs import Recipe

RESNET = Recipe(
    epochs=20,
    batch_size=128,
    optimizer="sgd",
    lr=0.1,
    weight_decay=5e-4,
    warmup=0.2,
    pad=4,
    flip=True,
)
CONVMIXER = Recipe(
    epochs=25,
    batch_size=128,
    optimizer="adamw",
    lr=0.01,
    weight_decay=0.005,
    warmup=0.2,
    pad=4,
    flip=True,
)


def recipe_for(family: str, dataset: str) -> Recipe:
    """The recipe of a model family (`resnet` or `convmixer`) on a data set.

    Digits are small, few, and change their meaning when mirrored.
    """
    recipe = CONVMIXER if family == "convmixer" else RESNET
    if dataset == "digits":
        recipe = replace(recipe, epochs=12, batch_size=64, pad=1, flip=False)
    return recipe


def adversarial_eps(dataset: str) -> str:
    """The radius that adversarial training uses on a data set unless told otherwise."""
    return "2/16" if dataset == "digits" else "8/255"
