"""`package.module:callable`: the user's own data."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from robustbench_mix.data.dataset import Dataset
from robustbench_mix.data.tensors import dataset_of
from robustbench_mix.errors import FOREIGN, RbmixError
from robustbench_mix.runtime.imports import describe_error, import_word


def load_callable(word: str) -> Dataset:
    """Call a function of the user's and return what it gives as a data set of that name.

    Args:
        word: `package.module:callable`. The function takes no arguments. It returns images and
            labels, in a form of `tensors.dataset_of`; without a part to train on they are for
            evaluations alone.

    Raises:
        RbmixError: The function is not there or fails, or returns something else.
    """
    target = import_word(word, "data set")
    if not callable(target):
        raise RbmixError(f"data set {word!r} is not callable")
    try:
        made: Any = target()
    except FOREIGN as error:  # whatever the user's code raises
        raise RbmixError(f"data set {word!r} cannot be made: {describe_error(error)}") from error
    try:
        return replace(dataset_of(made), name=word)
    except RbmixError as error:
        raise RbmixError(f"data set {word!r}: {error}") from error
