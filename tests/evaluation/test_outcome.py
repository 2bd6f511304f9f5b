"""The records of a run that is at its end."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import torch

from robustbench_mix.data.dataset import Split
from robustbench_mix.evaluation import outcome


def split_of(n: int) -> Split:
    """Images that are named by tens."""
    return Split(torch.zeros(n, 1, 1, 1), torch.arange(n), 10 * torch.arange(n), 1)


def test_what_breaks_an_image_breaks_it_at_every_larger_epsilon(make_state: Callable) -> None:
    """With the same perturbation; below there is none."""
    state = make_state(
        3, level=[0, 2, 3], component=["fgsm", "square", ""], norm=[0.1, 0.2, 0.0],
        correct=[False, True, True], forward=[None, 5, 6], gradient=[None, None, 2],
    )  # fmt: skip
    table = outcome.table(split_of(3), state, 3, concludes=False)
    assert table["image"].tolist() == [0, 10, 20]
    assert table["broken"].tolist() == [[True] * 3, [False, False, True], [False] * 3]
    assert table["component"].tolist() == [["fgsm"] * 3, ["", "", "square"], [""] * 3]
    norms = [[None if pd.isna(one) else one for one in row] for row in table["norm"]]
    assert norms == [[0.1] * 3, [None, None, 0.2], [None] * 3]
    assert table["forward"].isna().tolist() == [True, False, False]
    assert table["gradient"].dtype == "Int64"
    assert table["inferred"].tolist() == [[False] * 3] * 3


def test_what_was_concluded_is_marked(make_state: Callable) -> None:
    """Below the epsilon at which all failed, but not where the conclusion was attacked."""
    state = make_state(
        4, level=[3, 3, 2, 3], failed=[2, 2, 1, -1], check=[-1, 0, 0, -1],
        checked=["", "confirmed", "", ""],
    )  # fmt: skip
    found = outcome.table(split_of(4), state, 3, concludes=True)["inferred"].tolist()
    assert found == [
        [True, True, False], [False, True, False], [True, False, False], [False] * 3,
    ]  # fmt: skip
    assert not any(map(any, outcome.table(split_of(4), state, 3, concludes=False)["inferred"]))


def test_conclusions_are_counted(make_state: Callable) -> None:
    """Confirmed ones only where they are still below what failed."""
    state = make_state(
        5, failed=[2, 2, 1, 2, 2], check=[0, 1, 1, 0, -1],
        checked=["confirmed", "confirmed", "confirmed", "refuted", ""],
    )  # fmt: skip
    found = outcome.count_conclusions(state)
    assert (found.confirmed, found.refuted) == (2, 1)
