"""How far a run has come: what is kept of it while it runs, and read again when it goes on."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import msgspec

from robustbench_mix.storage.validation import LARGEST, Count, NonNegative, is_name


@dataclass
class State:
    """How far a run has come, in plain lists with one entry per image.

    `level` is the position in the grid of the smallest epsilon that broke the image, or
    the length of the grid; `stage` counts the (epsilon, stage) pairs it has passed;
    `failed` is the largest position at which the whole protocol was run and failed, or -1;
    `check` is a position below the one that is being attacked, at which a conclusion of the
    fast schedule is attacked outright, or -1; `check_stage` and `checked` say how far that
    is and what came of it, `confirmed` or `refuted`. `cheap` is the level at
    which an image came to stages that are meant for a sample, or -1. `forward` and `gradient`
    are the passes spent on each image, None where a library does not tell. `batch_size` is
    how many images at once fit into memory so far, 0 before the first.
    """

    prediction: list[int]
    margin: list[float]
    correct: list[bool]
    level: list[int]
    component: list[str]
    norm: list[float]
    stage: list[int]
    failed: list[int]
    check: list[int]
    check_stage: list[int]
    checked: list[str]
    cheap: list[int]
    forward: list[int | None]
    gradient: list[int | None]
    passes: dict[str, dict[str, Count]] = field(default_factory=dict)
    attack_seconds: NonNegative = 0.0
    batch_size: int = 0


def state_from_json(plain: object, images: int, levels: int, steps: int, batch_size: int) -> State:
    """Return the state of an unfinished run, from what `asdict` gave; not trusted.

    Args:
        plain: The JSON value.
        images: How many images the run has.
        levels: The length of the epsilon grid.
        steps: How many (epsilon, stage) pairs an image can pass.
        batch_size: How many images at once the run began with.

    Raises:
        ValueError: Something does not lie where a run of these sizes can have left it.
    """
    state = msgspec.convert(plain, State)
    bounds = {
        "prediction": (0, LARGEST), "margin": (-math.inf, math.inf), "level": (0, levels),
        "stage": (-1, steps), "failed": (-1, levels), "check": (-1, levels),
        "check_stage": (-1, steps), "cheap": (-1, levels), "forward": (0, LARGEST),
        "gradient": (0, LARGEST),
    }  # fmt: skip
    for name in ("correct", "component", "norm", "checked", *bounds):
        values = getattr(state, name)
        low, high = bounds.get(name, (0, 0))
        if len(values) != images:
            raise ValueError(f"{name} has {len(values)} values (allowed: {images})")
        if name in bounds and not all(v is None or low <= v <= high for v in values):
            raise ValueError(f"{name} is not of such a run (allowed: {low} to {high})")
    if not all(name == "" or is_name(name) for name in (*state.component, *state.passes)):
        raise ValueError("component is not of such a run")
    if not set(state.checked) <= {"", "confirmed", "refuted"}:
        raise ValueError("checked is not of such a run")
    if not 1 <= state.batch_size <= batch_size:
        raise ValueError(f"batch_size {state.batch_size} is not in 1 to {batch_size}")
    for check, step, found in zip(state.check, state.check_stage, state.checked, strict=True):
        if check >= 0 and not found and step >= steps:
            raise ValueError("a check that never ends")
    return state
