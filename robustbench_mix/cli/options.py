"""Options that several commands share, and the parsers of their values."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from robustbench_mix.cli import completion
from robustbench_mix.cli.app import (
    attack_option,
    data_option,
    machine_option,
    model_option,
    output_option,
    training_option,
)
from robustbench_mix.config.epsilon import texts_of
from robustbench_mix.config.model import Interface
from robustbench_mix.evaluation.model_plan import DEFAULT_MODEL
from robustbench_mix.storage import remote

logger = logging.getLogger(__name__)


def number(kind: Callable[[str], Any], what: str) -> Callable[[Any], Any]:
    """Return a parser whose error names the value that it cannot read.

    Args:
        kind: Converts a text to a number; raises ValueError.
        what: Words for an allowed value, for the error.
    """

    def parse(text: Any) -> Any:
        try:
            return kind(str(text))
        except ValueError:
            raise typer.BadParameter(f"{text!r} is not {what}") from None

    parse.__name__ = "number"
    return parse


whole = number(int, "a whole number")
real = number(float, "a number")

MODEL_HELP = (
    "Model: a name from `rbmix models`, torchvision:NAME, timm:NAME, hf:owner/name, or your own "
    "package.module:callable (python:timm:make if the module has such a name)."
)
Model = Annotated[
    str,
    model_option(
        autocompletion=completion.models,
        help=MODEL_HELP,
    ),
]
ModelWish = Annotated[
    Optional[str],
    model_option(
        autocompletion=completion.models,
        show_default=DEFAULT_MODEL,
        help=MODEL_HELP,
    ),
]
SpatialWord = Annotated[
    str,
    model_option(
        autocompletion=completion.spatial,
        help="Spatial mixers: learned, frozen, same, single, repeated, box, identity, impulse, "
        "gaussian, smoothed:S or smoothed:S:rescaled.",
    ),
]
ChannelWord = Annotated[
    str, model_option(autocompletion=completion.channel, help="Channel mixers: learned or frozen.")
]
DatasetName = Annotated[
    str,
    data_option(
        autocompletion=completion.datasets,
        help="Data set: digits, cifar10, cifar100, a folder with train/ and test/, or your own "
        "package.module:callable.",
    ),
]
SpatialWish = Annotated[
    Optional[str],
    model_option(
        autocompletion=completion.spatial,
        help="Spatial mixers, as for `rbmix train`; learned by default if the model is trained.",
    ),
]
ChannelWish = Annotated[
    Optional[str],
    model_option(
        autocompletion=completion.channel,
        help="Channel mixers: learned or frozen; learned by default if the model is trained.",
    ),
]
Pretrained = Annotated[
    bool, model_option("--pretrained", help="Use the weights that torchvision or timm publish.")
]
InputSize = Annotated[
    Optional[int],
    model_option(
        parser=whole,
        help="Size in pixels to which the network resizes images; attacks act before that.",
    ),
]
Mean = Annotated[
    Optional[str],
    model_option(help="Per-channel mean of pixels in [0, 1]: one value, or one per channel."),
]
Std = Annotated[
    Optional[str],
    model_option(help="Per-channel standard deviation: one value, or one per channel."),
]
Classes = Annotated[
    Optional[int],
    model_option(
        parser=whole, help="Number of outputs of the network; by default one for each class."
    ),
]
Seed = Annotated[
    int, model_option(parser=whole, help="Seed of the weights, the training and the attack.")
]
SeedWish = Annotated[
    Optional[int],
    model_option(
        parser=whole,
        show_default="0",
        help="Seed of the weights, the training and the attack.",
    ),
]
Epochs = Annotated[
    Optional[int], training_option(parser=whole, help="Training epochs instead of the recipe's.")
]
TrainExamples = Annotated[
    Optional[int],
    training_option(
        parser=whole, help="Number of training images, a subset balanced over the classes."
    ),
]
LearningRate = Annotated[
    Optional[float],
    training_option("--lr", parser=real, help="Peak learning rate instead of the recipe's."),
]
Precision = Annotated[
    str, training_option(help="Training precision: fp32, bf16, or auto (bf16 on GPUs).")
]
IsAdversarial = Annotated[
    bool,
    training_option("--adversarial", help="Train on adversarial examples instead of clean images."),
]
AdversarialEps = Annotated[
    Optional[str],
    training_option(help="l-infinity radius of these examples; by default 8/255, on digits 2/16."),
]
AdversarialAttack = Annotated[
    Optional[str],
    training_option(help="How they are made: pgd (7 steps, the default), or the faster n-fgsm."),
]
Averaging = Annotated[
    Optional[float],
    training_option(
        parser=real,
        help="Decay of the average of weights in adversarial training: 0.9995, or 0 for none.",
    ),
]
LabelSmoothing = Annotated[
    Optional[float],
    training_option(parser=real, help="Label smoothing in adversarial training; 0 by default."),
]
AttackName = Annotated[
    str,
    attack_option(
        autocompletion=completion.attacks,
        help="Attack: a protocol from `rbmix attacks`, a path to a .toml file, or foolbox:NAME.",
    ),
]
EpsGrid = Annotated[
    Optional[str], attack_option(help="Epsilons instead of the protocol's, as in 1/255,2/255.")
]
NormName = Annotated[
    Optional[str],
    attack_option(help="Norm instead of the protocol's: linf, l2 or l1 (needs --eps)."),
]
Backend = Annotated[
    Optional[str],
    attack_option(
        help="Engine: fast (our attacks, one job for the whole curve; default) or reference "
        "(foolbox and pyautoattack, one epsilon at a time)."
    ),
]
IsExhaustive = Annotated[
    bool,
    attack_option("--exhaustive", help="Run every attack at every epsilon to its end."),
]
IsRandomised = Annotated[
    bool,
    attack_option(
        "--randomised",
        help="For networks that draw random numbers: mean gradients, majority votes.",
    ),
]
BatchSize = Annotated[
    Optional[int], attack_option(parser=whole, help="Number of images attacked at once.")
]
Device = Annotated[str, machine_option(help="Device: auto, cpu, cuda, cuda:1 or mps.")]
AsJson = Annotated[bool, output_option("--json", help="Print one JSON value and nothing else.")]
Quiet = Annotated[bool, output_option("--quiet", help="Print only errors and failed checks.")]


def results_folder(text: Any) -> Path:
    """Return the folder of a path, or the updated local copy of a URL."""
    return remote.local_folder(str(text))


results_folder.__name__ = "path or URL"
Results = Annotated[
    Optional[Path],
    typer.Argument(
        parser=results_folder, show_default="results", help="Folder of results, or its URL."
    ),
]
Out = Annotated[
    Optional[Path],
    output_option(
        parser=results_folder, show_default="results", help="Folder of results, or its URL."
    ),
]


def split_list(text: str, kind: Callable[[str], Any] = str) -> list[Any]:
    """Read an option with several values, as in `3,5,7`."""
    parts = [part.strip() for part in text.split(",")]
    try:
        return [kind(part) for part in parts]
    except ValueError:
        wanted = "numbers, as in 0.5,0.25" if kind is float else "whole numbers, as in 3,5"
        raise typer.BadParameter(f"{text!r} is not a list of {wanted}") from None


def eps_grid(text: str | None) -> list[str] | None:
    """Return the epsilons of `--eps`, None if it is not given."""
    return None if text is None else texts_of(text)


def interface(
    input_size: int | None, mean: str | None, std: str | None, classes: int | None
) -> Interface | None:
    """Return the interface that the options of these names give, None if none is given."""
    means, stds = (None if text is None else tuple(split_list(text, float)) for text in (mean, std))
    given = Interface(input_size, means, stds, classes)
    return None if given == Interface() else given
