"""Turn the final state of a run into its records, and count the conclusions it checked."""

from __future__ import annotations

import pandas as pd

from robustbench_mix.data.dataset import Split
from robustbench_mix.evaluation.state import State
from robustbench_mix.results.headers import Conclusions


def count_conclusions(state: State) -> Conclusions:
    """Count the conclusions about smaller epsilons that were tested, and those that fell."""
    confirmed = [
        row
        for row, outcome in enumerate(state.checked)
        if outcome == "confirmed" and state.check[row] < state.failed[row]
    ]
    return Conclusions(confirmed=len(confirmed), refuted=state.checked.count("refuted"))


def table(split: Split, state: State, levels: int, concludes: bool) -> pd.DataFrame:
    """Return the records; an example found at one epsilon counts at every larger one.

    Args:
        split: The images.
        state: The state at the end of the run.
        levels: Number of epsilons.
        concludes: Whether the engine infers smaller epsilons from larger ones.
    """
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
    """Return whether the image was attacked only at a larger epsilon than at this grid index."""
    tried = at == state.check[row] and state.checked[row] == "confirmed"
    return at < state.failed[row] and at < state.level[row] and not tried
