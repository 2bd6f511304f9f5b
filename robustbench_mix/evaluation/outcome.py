"""What a run has come to when it is at its end: its records, and what it checked."""

from __future__ import annotations

import pandas as pd

from robustbench_mix.data.dataset import Split
from robustbench_mix.evaluation.state import State
from robustbench_mix.results.headers import Conclusions


def count_conclusions(state: State) -> Conclusions:
    """Count the conclusions about smaller epsilons that were attacked outright, and that fell."""
    confirmed = [
        row
        for row, outcome in enumerate(state.checked)
        if outcome == "confirmed" and state.check[row] < state.failed[row]
    ]
    return Conclusions(confirmed=len(confirmed), refuted=state.checked.count("refuted"))


def table(split: Split, state: State, levels: int, concludes: bool) -> pd.DataFrame:
    """The records, with what was found at one epsilon counted at every larger one."""
    nan = float("nan")
    grid = range(levels)
    return pd.DataFrame(
        {
            "image": split.index.tolist(),
            "label": split.labels.tolist(),
            "prediction": state.prediction,
            "margin": state.margin,
            "correct": state.correct,
            "broken": [[at >= level for at in grid] for level in state.level],
            "component": [
                [name if at >= level else "" for at in grid]
                for name, level in zip(state.component, state.level, strict=True)
            ],
            "norm": [
                [norm if at >= level else nan for at in grid]
                for norm, level in zip(state.norm, state.level, strict=True)
            ],
            "inferred": [
                [concludes and _is_inferred(state, row, at) for at in grid]
                for row in range(len(split))
            ],
            "forward": pd.array(state.forward, dtype="Int64"),
            "gradient": pd.array(state.gradient, dtype="Int64"),
        }
    )


def _is_inferred(state: State, row: int, at: int) -> bool:
    """Whether this image was not attacked at this position of the grid, only at a larger one."""
    tried = at == state.check[row] and state.checked[row] == "confirmed"
    return at < state.failed[row] and at < state.level[row] and not tried
