"""Find the logits in what a network returns."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from robustbench_mix.errors import RbmixError
from robustbench_mix.runtime.attributes import attributes_of
from robustbench_mix.runtime.dense import ODD, is_dense

LOGITS = "logits"
NEEDS = "needs logits, one row per image: alone, as `logits`, or as an item of a tuple"


def find_logits(output: Any, images: int, word: str = "the network") -> tuple[Tensor, str]:
    """Return the logits in the output of a network.

    Args:
        output: A tensor; or an object or mapping with `logits`; or a tuple, a list, a mapping or a
            data class of which an item has one row per image. Of several such items a tuple's
            first is taken, while a mapping or data class is refused.
        images: Number of images that were passed.
        word: What the network is called in messages.

    Returns:
        The logits, and where they were, in words; '' for a tensor.

    Raises:
        RbmixError: There are none, or it is not clear which they are.
    """
    if isinstance(output, Tensor):
        return output, ""
    kind = type(output).__name__
    named = output.get(LOGITS) if isinstance(output, Mapping) else getattr(output, LOGITS, None)
    if isinstance(named, Tensor):
        return named, f"`{LOGITS}` of the {kind} that the network returns"
    items = _items(output)
    rows = {
        name: item
        for name, item in items.items()
        if isinstance(item, Tensor) and item.ndim == 2 and len(item) == images
    }
    if not rows or (len(rows) > 1 and not isinstance(output, tuple | list)):
        listed = f" with {', '.join(map(repr, items))}" if items else ""
        raise RbmixError(f"{word} returns a {kind}{listed} ({NEEDS})")
    name, item = next(iter(rows.items()))
    return item, f"item {name!r} of the {kind} that the network returns"


def _items(output: Any) -> dict[object, object]:
    """Return the items of an output by position or name."""
    if isinstance(output, tuple | list):
        return dict(enumerate(output))
    return dict(output) if isinstance(output, Mapping) else attributes_of(output)


def check_logits(logits: object, images: int, word: str = "the network") -> Tensor:
    """Return logits if they are such: a dense tensor of real numbers, one row per image.

    Args:
        logits: What a network returned, or `find_logits` found in it.
        images: Number of images that were passed.
        word: What the network is called in messages.

    Raises:
        RbmixError: They are something else.
    """
    if not isinstance(logits, Tensor):
        raise RbmixError(f"{word} returns a {type(logits).__name__} ({NEEDS})")
    if logits.is_complex():
        raise RbmixError(f"{word} returns complex numbers (needs logits)")
    if not is_dense(logits):
        raise RbmixError(f"{word} returns a tensor that is {ODD} ({NEEDS})")
    if logits.ndim != 2 or len(logits) != images:
        raise RbmixError(
            f"{word} returns shape {tuple(logits.shape)} for {images} images "
            "(needs one row of logits per image)"
        )
    return logits


def tell_choice(choice: str) -> None:
    """Warn which part of a network's output is taken as its logits; '' says nothing."""
    if choice:
        warnings.warn(f"logits: {choice}", stacklevel=2)
