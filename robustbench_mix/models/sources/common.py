"""What all sources share: a network with its weights, and packages that may be missing."""

from __future__ import annotations

import importlib
import logging
from dataclasses import dataclass
from typing import Any

from torch import nn

from robustbench_mix.errors import RbmixError, first_line

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pretrained:
    """A network as its makers published it.

    `weights` names them, empty for a network that came as it is; `mean` and `std` are the
    standardisation per channel that it was trained with, None where that is not known.
    """

    model: nn.Module
    weights: str = ""
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None


def import_optional(package: str, word: str, extra: str) -> Any:
    """Import a package that is not always there.

    Raises RbmixError, with the extra of rbmix that brings it, if it is missing.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise RbmixError(
            f'model {word!r} needs {package} ({error}): pip install "robustbench-mix[{extra}]"'
        ) from error


def announce_download(word: str) -> None:
    """Say what is about to be downloaded unless it is on disk, which can take its time."""
    # The hub's client would tell of every attempt, whatever comes of it.
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    logger.info(f"fetching {word}")


def download_error(word: str, error: BaseException) -> RbmixError:
    """The error for weights that are neither on disk nor to be had."""
    return RbmixError(
        f"model {word!r} is not on this machine and could not be downloaded ({first_line(error)}); "
        "without a network give its weights with --weights FILE"
    )
