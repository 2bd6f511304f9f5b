"""How far a run has come: what is kept of it while it runs, and read again when it goes on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from robustbench_mix.results import schemas
from robustbench_mix.storage import validation


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
    passes: dict[str, dict[str, int]] = field(default_factory=dict)
    attack_seconds: float = 0.0
    batch_size: int = 0


def restored(plain: Any, images: int, levels: int, steps: int, batch_size: int) -> State:
    """The state of an unfinished run, from what `asdict` gave; not trusted.

    `levels` is the length of the grid, `steps` how many an image can pass. Raises ValueError
    unless everything lies where a run of these sizes can have left it.
    """
    level = validation.count(-1, levels)
    passed = validation.count(-1, steps)
    name, spent, whole = validation.text, validation.maybe(validation.count()), validation.count()
    each = {
        "prediction": whole, "margin": validation.number(), "level": validation.count(0, levels),
        "correct": lambda value: type(value) is bool, "component": name,
        "norm": validation.measured, "stage": passed, "failed": level, "check": level,
        "check_stage": passed, "cheap": level,
        "checked": validation.among("", "confirmed", "refuted"), "forward": spent,
        "gradient": spent,
    }  # fmt: skip
    checks = {key: validation.listed(check, images, images) for key, check in each.items()}
    checks["passes"] = schemas.PASSES
    checks["attack_seconds"] = validation.number(0)
    checks["batch_size"] = validation.count(1, batch_size)
    if wrong := [key for key, check in checks.items() if not check(plain.get(key))]:
        raise ValueError(f"{wrong[0]} is not of such a run")
    state = State(**plain)
    for check, step, found in zip(state.check, state.check_stage, state.checked, strict=True):
        if check >= 0 and not found and step >= steps:
            raise ValueError("a check that never ends")
    return state
