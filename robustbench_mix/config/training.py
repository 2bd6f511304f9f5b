"""The training recipes: one per family, the same for every variant of it.

The paper states none. These follow published neighbours: SGD with Nesterov momentum,
shifts and flips as Gavrikov & Keuper (arXiv 2301.11360) use on CIFAR ResNets, and AdamW
for ConvMixer as its authors do (arXiv 2201.09792), shortened to what a laptop can run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from robustbench_mix.config.epsilon import parse_eps
from robustbench_mix.config.limits import MAX_BATCH_SIZE, MAX_EPOCHS, MAX_EXAMPLES, check_count
from robustbench_mix.errors import RbmixError, unknown

PRECISIONS = ("fp32", "bf16")


def check_rate(rate: float) -> None:
    """Raise RbmixError unless a learning rate is a positive number."""
    if not (math.isfinite(rate) and rate > 0):
        raise RbmixError(f"learning rate {rate} must be a positive number")


def check_precision(name: str) -> None:
    """Raise RbmixError unless a precision is one of `PRECISIONS`."""
    if name not in PRECISIONS:
        raise unknown("precision", name, PRECISIONS)


@dataclass(frozen=True)
class Adversarial:
    """Training on PGD examples instead of the images.

    Args:
        eps: The l-infinity radius, as text.
        steps: Number of PGD steps.
        step_size: Size of a step, as a share of `eps`.

    Source: Madry et al., arXiv 1706.06083.
    """

    eps: str
    steps: int = 7
    step_size: float = 0.25

    def __post_init__(self) -> None:
        parse_eps(self.eps, "linf")


@dataclass(frozen=True)
class Recipe:
    """The settings of a training; the same for every variant of a network.

    Args:
        epochs: Number of epochs.
        batch_size: Images of a batch.
        optimizer: `sgd` or `adamw`.
        lr: Peak of the learning rate, which rises linearly and then falls to zero along a cosine.
        weight_decay: Weight decay.
        warmup: The share of the steps in which the learning rate rises.
        pad: The largest random shift, in pixels.
        flip: Whether half of the images are mirrored.
        precision: One of `PRECISIONS`.
        adversarial: Adversarial training; None trains on the images themselves.

    Raises:
        RbmixError: A number or a word is not allowed.
    """

    epochs: int
    batch_size: int
    optimizer: str
    lr: float
    weight_decay: float
    warmup: float
    pad: int
    flip: bool
    precision: str = "fp32"
    adversarial: Adversarial | None = None

    def __post_init__(self) -> None:
        check_count("epochs", self.epochs, MAX_EPOCHS)
        check_count("batch size", self.batch_size, MAX_BATCH_SIZE)
        check_rate(self.lr)
        check_precision(self.precision)


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


def recipe_for(model: str, dataset: str) -> Recipe:
    """Return the recipe of a model word on a data set.

    Architectures with `mixer` in their names get ConvMixer's recipe, all others that of the
    ResNets. Digits get other numbers: they are small and few, and must not be mirrored.
    """
    name = model.rpartition(":")[2]
    recipe = CONVMIXER if "mixer" in name.lower() else RESNET
    if dataset == "digits":
        recipe = replace(recipe, epochs=8, pad=1, flip=False)
    return recipe


def adversarial_eps(dataset: str) -> str:
    """Return the default radius of adversarial training on a data set."""
    return "2/16" if dataset == "digits" else "8/255"


@dataclass(frozen=True)
class Training:
    """The changes that a user makes to a recipe; None keeps its value.

    Args:
        epochs: Number of epochs.
        examples: Number of training images.
        lr: Peak of the learning rate.
        precision: One of `PRECISIONS`, or `auto`.
        adversarial: Whether to train on PGD examples.
        adversarial_eps: Their radius, as text; None takes the default of the data set.

    Raises:
        RbmixError: A number is out of range, or `adversarial_eps` is given without `adversarial`.
    """

    epochs: int | None = None
    examples: int | None = None
    lr: float | None = None
    precision: str = "auto"
    adversarial: bool = False
    adversarial_eps: str | None = None

    def __post_init__(self) -> None:
        check_count("epochs", self.epochs, MAX_EPOCHS)
        check_count("number of examples", self.examples, MAX_EXAMPLES)
        if self.lr is not None:
            check_rate(self.lr)
        if self.precision != "auto":
            check_precision(self.precision)
        if self.adversarial_eps is None:
            return
        parse_eps(self.adversarial_eps, "linf")
        if not self.adversarial:
            raise RbmixError(f"--adversarial-eps {self.adversarial_eps} needs --adversarial")

    def apply_to(self, recipe: Recipe, precision: str) -> Recipe:
        """Return the recipe with these epochs and this learning rate, in the given precision."""
        return replace(
            recipe,
            epochs=recipe.epochs if self.epochs is None else self.epochs,
            lr=recipe.lr if self.lr is None else self.lr,
            precision=precision,
        )

    def check_unchanged(self, model: str) -> None:
        """Raise RbmixError if there is a change, but the network `model` is not trained."""
        if replace(self, precision="auto") != UNCHANGED:
            raise RbmixError(
                f"model {model!r} comes with its weights: --epochs, --train-examples, --lr and "
                "--adversarial go with training"
            )


UNCHANGED = Training()
