"""How far a run has come: what is written is read, and what cannot be is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict

import pytest

from robustbench_mix.evaluation.state import state_from_json

SIZES = {"images": 2, "levels": 3, "steps": 4, "batch_size": 8}


def test_what_is_written_is_read(make_state: Callable) -> None:
    """Through JSON, at the bounds of every field."""
    state = make_state(
        2, level=[0, 3], stage=[-1, 4], failed=[2, -1], check=[1, -1], check_stage=[4, 0],
        checked=["confirmed", ""], component=["pgd-0", ""], forward=[None, 5], norm=[0.5, 0.0],
        passes={"pgd-0": {"forward": 3, "gradient": 2}}, attack_seconds=1.5, batch_size=1,
        search="bfloat16",
    )  # fmt: skip
    assert state_from_json(json.loads(json.dumps(asdict(state))), **SIZES) == state


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"level": [0]}, r"level has 1 values \(allowed: 2\)"),
        ({"norm": [0.1] * 3}, r"norm has 3 values \(allowed: 2\)"),
        ({"level": [0, 4]}, r"level is not of such a run \(allowed: 0 to 3\)"),
        ({"stage": [-2, 0]}, r"stage is not of such a run \(allowed: -1 to 4\)"),
        ({"failed": [4, 0]}, "failed is not of such a run"),
        ({"margin": [float("nan"), 1.0]}, "margin is not of such a run"),
        ({"prediction": [-1, 0]}, "prediction is not of such a run"),
        ({"forward": [-1, 0]}, "forward is not of such a run"),
        ({"component": ["a\nb", ""]}, "component is not of such a run"),
        ({"passes": {"\x1b": {"forward": 1}}}, "component is not of such a run"),
        ({"checked": ["maybe", ""]}, "checked is not of such a run"),
        ({"search": "float8"}, "search 'float8' is not of such a run"),
        ({"batch_size": 9}, "batch_size 9 is not in 1 to 8"),
        ({"batch_size": 0}, "batch_size 0 is not in 1 to 8"),
        ({"check": [1, -1], "check_stage": [4, 0]}, "a check that never ends"),
        ({"correct": [1, True]}, "(?i)expected `bool`"),
        ({"attack_seconds": -1.0}, "(?i)expected `float` >= 0"),
        ({"passes": {"pgd": {"forward": -1}}}, "(?i)expected `int` >= 0"),
    ],
)
def test_what_no_run_can_have_left(make_state: Callable, change: dict, message: str) -> None:
    """Named, with what is allowed."""
    plain = {**asdict(make_state(2)), **change}
    with pytest.raises(ValueError, match=message):
        state_from_json(plain, **SIZES)


@pytest.mark.parametrize("plain", [None, [], {}, {"prediction": []}])
def test_what_is_no_state(plain: object) -> None:
    """A field is missing, or all."""
    with pytest.raises(ValueError, match="Expected `object`|missing required field"):
        state_from_json(plain, **SIZES)
