"""The training recipes: one per family, the same for every variant of it.

The paper states none. These follow published neighbours: SGD with Nesterov momentum,
shifts and flips as Gavrikov & Keuper (arXiv 2301.11360) use on CIFAR ResNets, and AdamW
for ConvMixer as its authors do (arXiv 2201.09792), shortened to what a laptop can run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from robustbench_mix.config.epsilon import Eps, parse_eps, spelled_as, texts_of
from robustbench_mix.config.limits import MAX_BATCH_SIZE, MAX_EPOCHS, MAX_EXAMPLES, check_count
from robustbench_mix.errors import RbmixError, unknown

PRECISIONS = ("fp32", "bf16")


def check_rate(rate: float) -> None:
    """Raise RbmixError unless a learning rate is a positive number."""
    if isinstance(rate, str) or not (math.isfinite(rate) and rate > 0):
        raise RbmixError(f"learning rate {rate} must be a positive number")


def check_precision(name: str) -> None:
    """Raise RbmixError unless a precision is one of `PRECISIONS`."""
    if name not in PRECISIONS:
        raise unknown("precision", name, PRECISIONS)


def check_fraction(name: str, value: float) -> None:
    """Raise RbmixError unless a number is in [0, 1); `name` is what it is, in words."""
    if isinstance(value, str) or not 0 <= value < 1:
        raise RbmixError(f"{name} {value} must be at least 0 and below 1")


@dataclass(frozen=True)
class Adversarial:
    """Training on PGD examples instead of the images.

    Args:
        eps: The l-infinity radius, as text.
        steps: Number of PGD steps, at least 2.
        step_size: Size of a step, as a share of `eps`.

    Raises:
        RbmixError: The radius is not allowed, or there is only one step.

    Source: Madry et al., arXiv 1706.06083.
    """

    eps: str
    steps: int = 7
    step_size: float = 0.25

    def __post_init__(self) -> None:
        parse_eps(self.eps, "linf")
        # FGSM with a random start alone ends in catastrophic overfitting: such a network withstands
        # one step and nothing else (Andriushchenko & Flammarion, arXiv 2007.02617).
        if self.steps < 2:
            raise RbmixError(
                f"adversarial training with {self.steps} PGD steps (allowed: 2 or more, or N-FGSM)"
            )


@dataclass(frozen=True)
class NFgsm:
    """Training on N-FGSM examples instead of the images: one step from noise, without projection.

    The noise may leave the ball, and so may the examples: this is what prevents catastrophic
    overfitting.

    Args:
        eps: The l-infinity radius, as text.
        noise: The largest noise at the start, as a share of `eps`.
        step_size: Size of the step, as a share of `eps`.

    Raises:
        RbmixError: The radius is not allowed.

    Source: de Jorge et al., Make Some Noise, arXiv 2202.01181; noise and step are theirs.
    """

    eps: str
    noise: float = 2.0
    step_size: float = 1.0

    def __post_init__(self) -> None:
        parse_eps(self.eps, "linf")


ADVERSARIAL_ATTACKS = ("pgd", "n-fgsm")
AVERAGING = 0.9995  # the decay of the average of weights in adversarial training


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
        adversarial: Adversarial training by PGD.
        n_fgsm: Adversarial training by N-FGSM. Without either, the images themselves are used.
        averaging: The decay of the exponential average of the weights that is kept; None keeps the
            weights of the last step.
        label_smoothing: The share of each label that is spread over all classes; None is none.

    Raises:
        RbmixError: A number or a word is not allowed, or there are two kinds of examples.
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
    n_fgsm: NFgsm | None = None
    averaging: float | None = None
    label_smoothing: float | None = None

    def __post_init__(self) -> None:
        check_count("epochs", self.epochs, MAX_EPOCHS)
        check_count("batch size", self.batch_size, MAX_BATCH_SIZE)
        check_rate(self.lr)
        check_precision(self.precision)
        check_fraction("averaging", self.averaging or 0)
        check_fraction("label smoothing", self.label_smoothing or 0)
        if self.adversarial is not None and self.n_fgsm is not None:
            raise RbmixError("a recipe trains on PGD examples or on N-FGSM examples, not on both")

    @property
    def perturbation(self) -> Adversarial | NFgsm | None:
        """How the images are perturbed in training; None if they are not."""
        return self.adversarial or self.n_fgsm


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


def adversarial_words(recipe: Recipe) -> str:
    """Describe the adversarial training of a recipe, as in `8/255, n-fgsm, averaged 0.9995`.

    The radius comes first, then all that differs from PGD whose last weights are kept. The text is
    empty for training on the images themselves.
    """
    if recipe.perturbation is None:
        return ""
    words = [recipe.perturbation.eps]
    if recipe.n_fgsm is not None:
        words.append("n-fgsm")
    if recipe.averaging is not None:
        words.append(f"averaged {recipe.averaging}")
    if recipe.label_smoothing is not None:
        words.append(f"label smoothing {recipe.label_smoothing}")
    return ", ".join(words)


@dataclass(frozen=True)
class Training:
    """The changes that a user makes to a recipe; None keeps its value.

    Args:
        epochs: Number of epochs.
        examples: Number of training images.
        lr: Peak of the learning rate.
        precision: One of `PRECISIONS`, or `auto`.
        adversarial: Whether to train on adversarial examples. The following need it.
        adversarial_eps: Their radius, as text; None takes the default of the data set.
        adversarial_attack: One of `ADVERSARIAL_ATTACKS`; None takes PGD.
        averaging: The decay of the average of weights; None takes `AVERAGING`, 0 is none.
        label_smoothing: As in the recipe; None and 0 are none.

    Raises:
        RbmixError: A number or a word is not allowed, or one is given that needs `adversarial`.
    """

    epochs: int | None = None
    examples: int | None = None
    lr: float | None = None
    precision: str = "auto"
    adversarial: bool = False
    adversarial_eps: str | None = None
    adversarial_attack: str | None = None
    averaging: float | None = None
    label_smoothing: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "epochs", check_count("epochs", self.epochs, MAX_EPOCHS))
        examples = check_count("number of examples", self.examples, MAX_EXAMPLES)
        object.__setattr__(self, "examples", examples)
        if self.lr is not None:
            check_rate(self.lr)
        if self.precision != "auto":
            check_precision(self.precision)
        if self.adversarial_eps is not None:
            texts = texts_of(self.adversarial_eps)
            if len(texts) > 1:
                raise RbmixError(f"adversarial eps {self.adversarial_eps!r} is several (needs one)")
            object.__setattr__(self, "adversarial_eps", parse_eps(texts[0], "linf").text)
        if self.adversarial_attack not in (None, *ADVERSARIAL_ATTACKS):
            raise unknown("adversarial attack", self.adversarial_attack, ADVERSARIAL_ATTACKS)
        check_fraction("averaging", self.averaging or 0)
        check_fraction("label smoothing", self.label_smoothing or 0)
        for name in ("adversarial_eps", "adversarial_attack", "averaging", "label_smoothing"):
            value = getattr(self, name)
            if value is not None and not self.adversarial:
                raise RbmixError(f"--{name.replace('_', '-')} {value} needs --adversarial")

    def apply_to(self, recipe: Recipe, precision: str, default_eps: str = "8/255") -> Recipe:
        """Return the recipe with these changes.

        Args:
            recipe: The recipe.
            precision: The precision, one of `PRECISIONS`.
            default_eps: The radius of adversarial training if the user names none.
        """
        changed = replace(
            recipe,
            epochs=recipe.epochs if self.epochs is None else self.epochs,
            lr=recipe.lr if self.lr is None else self.lr,
            precision=precision,
        )
        if not self.adversarial:
            return changed
        usual = (Eps(default_eps),)
        named = usual if self.adversarial_eps is None else (Eps(self.adversarial_eps),)
        eps = spelled_as(named, usual)[0].text
        fast = self.adversarial_attack == "n-fgsm"
        averaging = AVERAGING if self.averaging is None else self.averaging
        return replace(
            changed,
            adversarial=None if fast else Adversarial(eps),
            n_fgsm=NFgsm(eps) if fast else None,
            averaging=averaging or None,
            label_smoothing=self.label_smoothing or None,
        )

    def check_unchanged(self, model: str) -> None:
        """Raise RbmixError if there is a change, but the network `model` is not trained."""
        if replace(self, precision="auto") != UNCHANGED:
            raise RbmixError(
                f"model {model!r} comes with its weights: --epochs, --train-examples, --lr and "
                "--adversarial go with training"
            )


UNCHANGED = Training()
