"""The harness and the reference schedule: runs a protocol's attacks and believes none of them.

For each epsilon in ascending order, and each component, the images that still stand are
attacked in batches. What comes back is projected onto the ball, measured in float64, and
judged by a forward pass of the original network. The balls are nested, so an example
found at a small epsilon counts at every larger one and the image is left alone from then
on. Robust accuracy counted this way is an upper bound.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from robustbench_mix import headers
from robustbench_mix.algorithms import Component
from robustbench_mix.algorithms.attack import Passes, Target
from robustbench_mix.errors import RbmixError
from robustbench_mix.fuse import simplify
from robustbench_mix.memory import halving
from robustbench_mix.norms import distance, project
from robustbench_mix.progress import bar
from robustbench_mix.protocols import Protocol
from robustbench_mix.splits import Split


@dataclass
class State:
    """How far a run has come, in plain lists with one entry per image.

    `level` is the position in the grid of the smallest epsilon that broke the image, or
    the length of the grid; `stage` counts the (epsilon, component) steps it has passed;
    `failed` is the largest position at which the whole protocol was run and failed, or -1;
    `check` is a position below the one that is being attacked, at which a conclusion of the
    fast schedule is attacked outright, or -1; `check_stage` and `checked` say how far that
    is and what came of it, `confirmed` or `refuted`. `cheap` is the level at
    which an image came to rungs that are meant for a sample, or -1. `forward` and `gradient`
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


Save = Callable[[State], None]


def restored(plain: Any, images: int, levels: int, steps: int, batch_size: int) -> State:
    """The state of an unfinished run, from what `asdict` gave; not trusted.

    `levels` is the length of the grid, `steps` how many an image can pass. Raises ValueError
    unless everything lies where a run of these sizes can have left it.
    """
    level = headers.count(-1, levels)
    passed = headers.count(-1, steps)
    name, spent, whole = headers.text, headers.maybe(headers.count()), headers.count()
    each = {
        "prediction": whole, "margin": headers.number(), "level": headers.count(0, levels),
        "correct": lambda value: type(value) is bool, "component": name, "norm": headers.measured,
        "stage": passed, "failed": level, "check": level, "check_stage": passed, "cheap": level,
        "checked": headers.among("", "confirmed", "refuted"), "forward": spent, "gradient": spent,
    }  # fmt: skip
    checks = {key: headers.listed(check, images, images) for key, check in each.items()}
    checks["passes"] = headers.PASSES
    checks["attack_seconds"] = headers.number(0)
    checks["batch_size"] = headers.count(1, batch_size)
    if wrong := [key for key, check in checks.items() if not check(plain.get(key))]:
        raise ValueError(f"{wrong[0]} is not of such a run")
    state = State(**plain)
    for check, step, found in zip(state.check, state.check_stage, state.checked, strict=True):
        if check >= 0 and not found and step >= steps:
            raise ValueError("a check that never ends")
    return state


def attack_all(
    model: nn.Module,
    split: Split,
    protocol: Protocol,
    *,
    steps: list[Component],
    seed: int,
    device: torch.device,
    batch_size: int,
    state: State | None = None,
    save: Save | None = None,
    description: str = "attacking",
    exhaustive: bool = False,
) -> State:
    """Attack every image of `split` under `protocol` and return what was verified.

    `exhaustive` attacks what is broken already all the same. `state` continues an earlier,
    unfinished run; `save` is called after every batch. The model leaves as it came. Raises
    RbmixError if the model's clean logits are not finite or do not fit the labels.
    """
    with borrowed(model, device):
        judge = Target(model)
        target = Target(simplify(model, sample(split, device, judge.dtype)))
        if state is None:
            state = clean_state(judge, split, device, batch_size, levels=len(protocol.eps))
        plan = [(level, step) for level in range(len(protocol.eps)) for step in steps]
        with bar(description, len(plan)) as update:
            for number, (level, component) in enumerate(plan, start=1):
                note = f"eps {protocol.eps[level].text}  {component.name}"
                work = partial(
                    _attack_batch, judge, target, split, protocol, level, component, state, seed,
                    device,
                )  # fmt: skip
                while rows := _pending(state, number, level, exhaustive)[: state.batch_size]:
                    started = time.perf_counter()
                    state.batch_size = halving(work, rows, state.batch_size)
                    for row in rows[: state.batch_size]:
                        state.stage[row] = number
                    state.attack_seconds += time.perf_counter() - started
                    if save is not None:
                        save(state)
                standing = sum(
                    correct and reached > level
                    for correct, reached in zip(state.correct, state.level, strict=True)
                )
                update(number, f"{note}  {standing}/{len(split)} stand")
    return state


def _attack_batch(
    judge: Target,
    target: Target,
    split: Split,
    protocol: Protocol,
    level: int,
    component: Component,
    state: State,
    seed: int,
    device: torch.device,
    _: int,
    rows: list[int],
) -> None:
    """Run one component on these rows and enter what it verifiably broke."""
    eps = protocol.eps[level].value
    chosen = split.take(torch.tensor(rows))
    x, y = chosen.pixels().to(device), chosen.labels.to(device)
    target.count_for(len(rows))
    judge.passes, judge.images = target.passes, target.images
    x_adv = component.attack(
        target, x, y, eps=eps, norm=protocol.norm, index=chosen.index.tolist(), seed=seed
    )
    if x_adv.shape != x.shape:
        raise RbmixError(
            f"attack {component.name!r} returned shape {tuple(x_adv.shape)} for {tuple(x.shape)}"
        )
    x_adv = project(x_adv.to(x), x, eps, protocol.norm)
    with torch.no_grad():
        broken = (judge(x_adv).argmax(1) != y).tolist()
    target.check_finite()
    norms = distance(x_adv, x, protocol.norm).tolist()
    spend(state, component.name, target.passes, rows if component.tells else None)
    for row, is_broken, norm in zip(rows, broken, norms, strict=True):
        if is_broken and state.level[row] > level:
            state.level[row] = level
            state.component[row] = component.name
            state.norm[row] = norm


def spend(state: State, name: str, passes: Passes, rows: list[int] | None) -> None:
    """Add these passes, the verdict's included, to what the named component has spent.

    `rows` are the images that they were for, where that is known.
    """
    spent = state.passes.setdefault(name, {"forward": 0, "gradient": 0})
    spent["forward"] += passes.forward
    spent["gradient"] += passes.gradient
    if rows is None:
        return
    for kind, counts in zip((state.forward, state.gradient), passes.each.tolist(), strict=True):
        for row, count in zip(rows, counts, strict=True):
            kind[row] = (kind[row] or 0) + count


def _pending(state: State, number: int, level: int, exhaustive: bool) -> list[int]:
    """The images that step `number` still has to attack, in a fixed order.

    What it has attacked is not among them, broken or not: a resumed run forms the same batches.
    """
    return [
        row
        for row, correct in enumerate(state.correct)
        if correct and state.stage[row] < number and (exhaustive or state.level[row] > level)
    ]


@torch.no_grad()
def clean_state(
    judge: Target, split: Split, device: torch.device, batch_size: int, levels: int
) -> State:
    """The state before any attack: clean predictions and margins."""
    prediction: list[int] = []
    margin: list[float] = []

    def work(_: int, rows: list[int]) -> None:
        chosen = split.take(torch.tensor(rows))
        logits, y = judge(chosen.pixels().to(device)), chosen.labels.to(device)
        check_classes(logits.shape[1], split)
        own = logits.gather(1, y[:, None]).squeeze(1)
        others = logits.scatter(1, y[:, None], -torch.inf).amax(1)
        predicted, margins = logits.argmax(1).tolist(), own.double() - others.double()
        prediction.extend(predicted)
        margin.extend(margins.tolist())

    while rows := list(range(len(prediction), len(split)))[:batch_size]:
        batch_size = halving(work, rows, batch_size)
    correct = [p == t for p, t in zip(prediction, split.labels.tolist(), strict=True)]
    n = len(split)
    return State(
        prediction=prediction,
        margin=margin,
        correct=correct,
        level=[levels] * n,
        component=[""] * n,
        norm=[float("nan")] * n,
        stage=[0] * n,
        failed=[-1] * n,
        check=[-1] * n,
        check_stage=[0] * n,
        checked=[""] * n,
        cheap=[-1] * n,
        forward=[None] * n,
        gradient=[None] * n,
        batch_size=batch_size,
    )


def check_classes(classes: int, split: Split) -> None:
    """Raise RbmixError if the network has fewer classes than there are labels."""
    largest = int(split.labels.max())
    if classes <= largest:
        raise RbmixError(
            f"the model has {classes} classes, but the data set has labels up to {largest}"
        )


@contextmanager
def borrowed(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Put the model in eval mode on `device`, without parameter gradients.

    Modes, gradient flags and placement are put back afterwards.
    """
    modes = [(module, module.training) for module in model.modules()]
    flags = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    home = next((p.device for p in model.parameters()), device)
    try:
        model.to(device).eval().requires_grad_(False)
        yield
    finally:
        model.to(home)
        for module, training in modes:
            module.training = training
        for parameter, flag in flags:
            parameter.requires_grad_(flag)


def sample(split: Split, device: torch.device, dtype: torch.dtype = torch.float32) -> Tensor:
    """A few images to try a network on."""
    return split.pixels(0, 8).to(device, dtype)


def classes_of(model: nn.Module, split: Split, device: torch.device) -> int:
    """Number of logits the model returns."""
    with borrowed(model, device), torch.no_grad():
        return int(Target(model)(sample(split, device)).shape[1])
