"""Options that several commands share, and how their words are read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from robustbench_mix.errors import RbmixError
from robustbench_mix.files import is_folder


def number(kind: Callable[[str], Any], what: str) -> Callable[[Any], Any]:
    """A parser that names the value it cannot read."""

    def parse(text: Any) -> Any:
        try:
            return kind(str(text))
        except ValueError:
            raise typer.BadParameter(f"{text!r} is not {what}") from None

    parse.__name__ = "number"
    return parse


whole = number(int, "a whole number")
real = number(float, "a number")

Model = Annotated[
    str, typer.Option(help="A name from `rbmix models`, or your own package.module:callable.")
]
SpatialWord = Annotated[
    str,
    typer.Option(help="learned, frozen, same, box, identity, smoothed:S or smoothed:S:rescaled."),
]
ChannelWord = Annotated[str, typer.Option(help="learned or frozen.")]
DatasetName = Annotated[
    str, typer.Option(help="digits, cifar10, cifar100, or a folder with train/ and test/.")
]
Seed = Annotated[
    int, typer.Option(parser=whole, help="Seed of the weights, the training and the attack.")
]
Epochs = Annotated[
    Optional[int], typer.Option(parser=whole, help="Training epochs instead of the recipe's.")
]
TrainExamples = Annotated[
    Optional[int],
    typer.Option(parser=whole, help="Train on this many images, balanced over the classes."),
]
LearningRate = Annotated[
    Optional[float],
    typer.Option("--lr", parser=real, help="Peak learning rate instead of the recipe's."),
]
Precision = Annotated[
    str, typer.Option(help="Training precision: fp32, bf16, or auto (bf16 on GPUs).")
]
IsAdversarial = Annotated[
    bool, typer.Option("--adversarial", help="Train on PGD examples (7 steps) instead of images.")
]
AdversarialEps = Annotated[
    Optional[str], typer.Option(help="Their l-infinity radius: 8/255, on digits 2/16.")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")]
Out = Annotated[Path, typer.Option(help="Results folder.")]


def listed(text: str, kind: Callable[[str], Any] = str) -> list[Any]:
    """The values of an option that takes several: `3,5,7`."""
    parts = [part.strip() for part in text.split(",")]
    try:
        return [kind(part) for part in parts]
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a list of whole numbers, as in 3,5") from None


def existing(folder: Path) -> Path:
    """The folder, if it is there; raises RbmixError otherwise."""
    if not is_folder(folder):
        raise RbmixError(f"results folder {folder} does not exist")
    return folder
