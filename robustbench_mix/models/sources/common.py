"""Shared parts of all sources: pretrained networks, optional packages, downloads."""

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
    """A network with the weights that it was published with.

    Args:
        model: The network.
        weights: The name of the weights; '' if they have none.
        mean: Per-channel mean that it was trained with, None if unknown.
        std: Per-channel standard deviation that it was trained with, None if unknown.
    """

    model: nn.Module
    weights: str = ""
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None


def import_optional(package: str, word: str, extra: str) -> Any:
    """Import an optional package.

    Args:
        package: Its name.
        word: The model word that needs it.
        extra: The extra of rbmix that installs it.

    Raises:
        RbmixError: The package is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise RbmixError(
            f'model {word!r} needs {package} ({error}): pip install "robustbench-mix[{extra}]"'
        ) from error


def announce_download(word: str) -> None:
    """Log that a model is about to be downloaded, unless it is on disk."""
    # The hub's client would log every attempt.
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    logger.info(f"fetching {word}")


def download_error(word: str, error: BaseException) -> RbmixError:
    """Make the error for weights that are not on disk and cannot be downloaded."""
    return RbmixError(
        f"model {word!r} is not on this machine and could not be downloaded ({first_line(error)}); "
        "without a network give its weights with --weights FILE"
    )
