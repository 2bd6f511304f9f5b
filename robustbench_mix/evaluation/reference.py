"""The harness and the reference schedule: runs a protocol's attacks and believes none of them.

For each epsilon in ascending order, and each component, the images that still stand are
attacked in batches. What comes back is projected onto the ball, measured in float64, and
judged by a forward pass of the original network. The balls are nested, so an example
found at a small epsilon counts at every larger one and the image is left alone from then
on. Robust accuracy counted this way is an upper bound. A component that looks for the nearest
example runs once: what it returns is projected onto each ball of the grid.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from robustbench_mix.attacks.base import Passes, Target, check_norm
from robustbench_mix.attacks.norms import distance, project
from robustbench_mix.attacks.registry import Component
from robustbench_mix.attacks.streams import stream
from robustbench_mix.attacks.voting import answers, margins, misclassified, predicted
from robustbench_mix.config.protocols import Protocol
from robustbench_mix.data.dataset import Split
from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation.remaining_passes import (
    Meter,
    Rounds,
    Step,
    is_known,
    left_in_rounds,
    work_done,
)
from robustbench_mix.evaluation.state import State
from robustbench_mix.models.fusion import simplify
from robustbench_mix.runtime.memory import retry_with_smaller_batches
from robustbench_mix.runtime.progress import progress_bar
from robustbench_mix.runtime.threads import tune_threads

Save = Callable[[State], None]


@dataclass(frozen=True)
class _Job:
    """What does not change during a run."""

    judge: Target
    target: Target
    split: Split
    protocol: Protocol
    seed: int
    device: torch.device
    draws: int


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
    draws: int = 1,
) -> State:
    """Attack every image of `split` under `protocol` and return what was verified.

    `exhaustive` attacks what is broken already all the same. `state` continues an earlier,
    unfinished run; `save` is called after every batch. A verdict is the majority of `draws`
    forward passes; above 1 for a randomised network, which is then attacked as it is. The
    model leaves as it came. Raises RbmixError if the model's clean logits are not finite or
    do not fit the labels, or if a component does not search in the protocol's norm.
    """
    check_norm(steps, protocol.norm)
    with borrowed(model, device):
        judge = Target(model)
        simple = model if draws > 1 else simplify(model, sample(split, device, judge.dtype))
        job = _Job(judge, Target(simple), split, protocol, seed, device, draws)
        if state is None:
            state = clean_state(
                judge, split, device, batch_size, levels=len(protocol.eps), seed=seed, draws=draws
            )
        plan = _plan(steps, len(protocol.eps))
        rounds = _rounds(job, plan, exhaustive)
        done = work_done(state)
        about = done + sum(left_in_rounds(state, rounds))
        with progress_bar(description, about, done) as update, tune_threads(job.target):
            job.target.on_pass = meter = Meter(update)
            for number, (level, component) in enumerate(plan, start=1):
                where = "nearest" if component.nearest else f"eps {protocol.eps[level].text}"
                work = partial(_attack_batch, job, state, level, component)
                while pending := _pending(state, number, level, exhaustive):
                    rows = pending[: state.batch_size]
                    ahead = left_in_rounds(state, rounds)
                    own = ahead[number - 1] * len(rows) / len(pending)
                    note = f"{where}, {component.name}, {len(pending)} open"
                    meter.begin(
                        work_done(state), sum(ahead), own, note,
                        is_known=is_known(state, rounds.plan[number - 1][1]),
                    )  # fmt: skip
                    started = time.perf_counter()
                    state.batch_size = retry_with_smaller_batches(work, rows, state.batch_size)
                    for row in rows[: state.batch_size]:
                        state.stage[row] = number
                    state.attack_seconds += time.perf_counter() - started
                    if save is not None:
                        save(state)
            meter.end(work_done(state))
    return state


def _rounds(job: _Job, plan: list[tuple[int, Component]], exhaustive: bool) -> Rounds:
    """The plan with the passes of an image that withstands each component."""
    x, protocol = sample(job.split, job.device, job.judge.dtype), job.protocol
    steps = [(level, Step(one.name, one.passes(x, protocol.norm))) for level, one in plan]
    return Rounds(steps, [eps.value for eps in protocol.eps], exhaustive)


def _plan(steps: list[Component], levels: int) -> list[tuple[int, Component]]:
    """What runs at which level: what serves the whole grid first, on all that may still fall."""
    once = [(0, step) for step in steps if step.nearest]
    each = [step for step in steps if not step.nearest]
    return once + [(level, step) for level in range(levels) for step in each]


def _attack_batch(
    job: _Job, state: State, level: int, component: Component, _: int, rows: list[int]
) -> None:
    """Run one component on these rows and enter what it verifiably broke."""
    grid, norm = [eps.value for eps in job.protocol.eps], job.protocol.norm
    chosen = job.split.take(torch.tensor(rows))
    x, y = chosen.pixels().to(job.device), chosen.labels.to(job.device)
    index = chosen.index.tolist()
    target, judge = job.target, job.judge
    target.count_for(len(rows))
    judge.passes, judge.images = target.passes, target.images
    aim = grid[-1] if component.nearest else grid[level]
    torch.manual_seed(stream(job.seed, component.name, repr(aim), *index))
    found = component.attack(target, x, y, eps=aim, norm=norm, index=index, seed=job.seed)
    if found.shape != x.shape:
        raise RbmixError(
            f"attack {component.name!r} returned shape {tuple(found.shape)} for {tuple(x.shape)}"
        )
    for eps in grid if component.nearest else [aim]:
        x_adv = project(found.to(x), x, eps, norm)
        torch.manual_seed(stream(job.seed, "verdict", component.name, repr(eps), *index))
        broken = misclassified(answers(judge, x_adv, job.draws), y).tolist()
        norms = distance(x_adv, x, norm).tolist()
        for row, is_broken, reach in zip(rows, broken, norms, strict=True):
            at = bisect_left(grid, reach) if component.nearest else level
            if is_broken and state.level[row] > at:
                state.level[row] = at
                state.component[row] = component.name
                state.norm[row] = reach
    target.check_finite()
    spend(state, component.name, target.passes, rows if component.tells else None)


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
    judge: Target,
    split: Split,
    device: torch.device,
    batch_size: int,
    levels: int,
    *,
    seed: int = 0,
    draws: int = 1,
) -> State:
    """The state before any attack: clean predictions, and margins (means over the draws)."""
    prediction: list[int] = []
    margin: list[float] = []

    def work(_: int, rows: list[int]) -> None:
        chosen = split.take(torch.tensor(rows))
        torch.manual_seed(stream(seed, "clean", *chosen.index.tolist()))
        logits = answers(judge, chosen.pixels().to(device), draws)
        check_classes(logits.shape[2], split)
        y = chosen.labels.to(device)
        prediction.extend(predicted(logits, y).tolist())
        margin.extend(margins(logits, y).tolist())

    with progress_bar(f"classifying {len(split)} images", len(split)) as update:
        while rows := list(range(len(prediction), len(split)))[:batch_size]:
            batch_size = retry_with_smaller_batches(work, rows, batch_size)
            update(len(prediction))
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

    Modes, gradient flags, placement and the random state are put back afterwards. Within, what
    a network draws is the same in every run.
    """
    modes = [(module, module.training) for module in model.modules()]
    flags = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    home = next((p.device for p in model.parameters()), device)
    cards = [device] if device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=cards):
            torch.manual_seed(0)
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
