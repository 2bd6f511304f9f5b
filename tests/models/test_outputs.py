"""The logits are found in whatever a network returns, or what it returns is refused."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from robustbench_mix.errors import RbmixError
from robustbench_mix.models.outputs import check_logits, find_logits, tell_choice

LOGITS = torch.rand(3, 5)
MAP = torch.rand(3, 8, 2, 2)
Named = namedtuple("Named", ["aux", "logits"])


@dataclass
class Output:
    """Like the outputs of a library of transformers."""

    logits: Tensor
    hidden: Any = None


@dataclass
class Other:
    scores: Any
    features: Any = None


@dataclass(slots=True)
class Slotted:
    scores: Any


@pytest.mark.parametrize(
    ("output", "choice"),
    [
        (LOGITS, ""),
        ((LOGITS, None), "item 0 of the tuple"),
        ((LOGITS, LOGITS + 1), "item 0 of the tuple"),
        ([MAP, LOGITS], "item 1 of the list"),
        ((torch.tensor(0.3), LOGITS, MAP), "item 1 of the tuple"),
        ({"logits": LOGITS, "aux": LOGITS + 1}, "`logits` of the dict"),
        ({"out": LOGITS, "map": MAP}, "item 'out' of the dict"),
        (Output(LOGITS, MAP), "`logits` of the Output"),
        (Named(LOGITS + 1, LOGITS), "`logits` of the Named"),
        (Other(LOGITS, MAP), "item 'scores' of the Other"),
        (Slotted(LOGITS), "item 'scores' of the Slotted"),
    ],
)
def test_logits_are_found(output: object, choice: str) -> None:
    """By their name, or as rows of numbers, one for each image."""
    found, said = find_logits(output, 3)
    assert found is LOGITS
    assert said.startswith(choice) and bool(said) == bool(choice)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ((), r"returns a tuple \(needs logits"),
        ((MAP, None), "returns a tuple with 0, 1"),
        ({"a": LOGITS, "b": LOGITS + 1}, "returns a dict with 'a', 'b'"),
        (Other(LOGITS, LOGITS), "returns a Other with 'scores', 'features'"),
        ("cat", "returns a str"),
        (None, "net 'x' returns a NoneType"),
    ],
)
def test_what_cannot_be_told_is_refused(output: object, message: str) -> None:
    """Nothing with a row per image, or several of them in no order."""
    with pytest.raises(RbmixError, match=message):
        find_logits(output, 3, "net 'x'")


def test_the_choice_is_told_once() -> None:
    """And nothing where there was none."""
    with pytest.warns(UserWarning, match="logits: item 0 of the tuple"):
        tell_choice(find_logits((LOGITS,), 3)[1])
    tell_choice("")


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ((LOGITS, None), "the network returns a tuple .needs logits"),
        (None, "returns a NoneType"),
        (LOGITS.to_sparse(), "returns a tensor that is sparse"),
        (LOGITS.to(torch.complex64), "returns complex numbers"),
        (LOGITS.T, r"returns shape \(5, 3\) for 3 images"),
        (LOGITS[:, 0], r"returns shape \(3,\) for 3 images"),
        (MAP, "needs one row of logits per image"),
    ],
)
def test_what_are_no_logits_is_refused(output: object, message: str) -> None:
    """Whatever a network may return at its next pass."""
    assert check_logits(LOGITS, 3) is LOGITS
    with pytest.raises(RbmixError, match=message):
        check_logits(output, 3)
