"""The options that name weights, and the outputs that they give."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

from robustbench_mix.cli.app import data_option, model_option
from robustbench_mix.cli.options import split_list
from robustbench_mix.config.weights import WeightsFile
from robustbench_mix.errors import RbmixError

Weights = Annotated[
    Optional[Path],
    model_option(
        help="Weights to load instead of training: a checkpoint of rbmix, or zoo:NAME from "
        "`rbmix models --trained`; for your own model any file of safetensors or "
        "torch.save."
    ),
]
WeightsKey = Annotated[
    Optional[str],
    model_option(
        help="Which weights to take of a file that holds several, as in model_ema; by default "
        "the plain ones."
    ),
]
IgnoreWeights = Annotated[
    Optional[str],
    model_option(
        help="Weights, or modules, in the file that inference does not need, as in aux,criterion."
    ),
]
ClassIndex = Annotated[
    Optional[str],
    data_option(
        help="Which output of the network each class is: a JSON or text file, or `numbers` if the "
        "classes are named by their outputs; by default the order of the classes."
    ),
]


def weights_file(weights: Path | None, key: str | None, ignore: str | None) -> WeightsFile | None:
    """Return the weights that the options of these names give, None if no file is given."""
    if weights is not None:
        return WeightsFile(weights, key, tuple(split_list(ignore)) if ignore is not None else ())
    for option, value in (("--weights-key", key), ("--ignore-weights", ignore)):
        if value is not None:
            raise RbmixError(f"{option} {value} goes with --weights")
    return None
