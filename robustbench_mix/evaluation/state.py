"""The state of a run: saved while it runs, and read again when it is resumed."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import msgspec

from robustbench_mix.storage.validation import LARGEST, Count, NonNegative, is_name


@dataclass
class State:
    """The state of a run, in plain lists with one entry per image.

    Attributes:
        level: Grid index of the smallest epsilon that broke the image, else the grid's length.
        stage: Number of (epsilon, stage) pairs that the image has passed.
        failed: Largest grid index at which the whole protocol was run and failed, or -1.
        check: Grid index below the attacked one at which a conclusion is tested, or -1.
        check_stage: Number of stages that this test has passed.
        checked: Its outcome, `confirmed` or `refuted`.
        cheap: Grid index at which the image reached the stages for a sample, or -1.
        reached: Share of its clean margin to which the stages for all images lowered it.
        stratum: Stratum of the audit that the image is in, nearest first, or -1.
        sampled: Whether the image was drawn to meet the stages for a sample.
        forward: Forward passes spent on the image, None if a library does not tell.
        gradient: Gradient passes spent on it, None if a library does not tell.
        batch_size: Largest number of images at once that fitted into memory, 0 before the first.
        search: Precision of the copy that is searched, if it is coarser than the network.
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
    reached: list[float]
    stratum: list[int]
    sampled: list[bool]
    forward: list[int | None]
    gradient: list[int | None]
    passes: dict[str, dict[str, Count]] = field(default_factory=dict)
    attack_seconds: NonNegative = 0.0
    batch_size: int = 0
    search: str = ""


def state_from_json(plain: object, images: int, levels: int, steps: int, batch_size: int) -> State:
    """Check an untrusted JSON value that `asdict` once gave, and return it as a state.

    Args:
        plain: The JSON value.
        images: Number of images of the run.
        levels: Number of epsilons of the grid.
        steps: Maximum number of (epsilon, stage) pairs that an image passes.
        batch_size: Number of images at once with which the run began.

    Raises:
        ValueError: A value is out of the range that a run of these sizes can reach.
    """
    state = msgspec.convert(plain, State)
    bounds = {
        "prediction": (0, LARGEST), "margin": (-math.inf, math.inf), "level": (0, levels),
        "stage": (-1, steps), "failed": (-1, levels), "check": (-1, levels),
        "check_stage": (-1, steps), "cheap": (-1, levels), "reached": (-math.inf, math.inf),
        "stratum": (-1, LARGEST), "forward": (0, LARGEST), "gradient": (0, LARGEST),
    }  # fmt: skip
    for name in ("correct", "component", "norm", "checked", "sampled", *bounds):
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
    if state.search not in ("", "bfloat16"):
        raise ValueError(f"search {state.search!r} is not of such a run")
    if not 1 <= state.batch_size <= batch_size:
        raise ValueError(f"batch_size {state.batch_size} is not in 1 to {batch_size}")
    for check, step, found in zip(state.check, state.check_stage, state.checked, strict=True):
        if check >= 0 and not found and step >= steps:
            raise ValueError("a check that never ends")
    return state
