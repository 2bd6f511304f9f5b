"""The fast schedule: a curve is one job, not one job per epsilon.

One gradient places every image on the grid: the smallest epsilon at which a single step
breaks it. From there each image is attacked one epsilon below the smallest that is known to
break it, cheap components before dear ones, until the whole ensemble has failed once. Below
that epsilon nothing is attacked: what withstood a larger ball is counted as withstanding
the smaller ones, and marked as inferred. A fixed share of these conclusions is attacked
outright; what that breaks is entered and counted.

Images at different epsilons share a batch, and each draws from its own stream, so the
outcome depends neither on the batches nor on their order.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from robustbench_mix.algorithms.apgd import steepest
from robustbench_mix.algorithms.attack import Passes, Target
from robustbench_mix.algorithms.ladders import Rung
from robustbench_mix.harness import Save, State, borrowed, clean_state, search_model, spend
from robustbench_mix.norms import distance, project
from robustbench_mix.progress import bar
from robustbench_mix.protocols import Protocol
from robustbench_mix.splits import Split
from robustbench_mix.streams import stream

PLACE = -1  # the stage of an image that has not been placed on the grid
ONE_IN = 20  # one image in so many has a conclusion about it attacked outright
# What `State.check` holds besides the level that is being checked.
UNCHECKED, CONFIRMED, REFUTED = -1, -2, -3


@dataclass(frozen=True)
class Job:
    """What does not change during a run."""

    judge: Target
    target: Target
    split: Split
    grid: list[float]
    norm: str
    ladder: list[Rung]
    seed: int
    device: torch.device


def search_all(
    model: nn.Module,
    split: Split,
    protocol: Protocol,
    *,
    ladder: list[Rung],
    seed: int,
    device: torch.device,
    batch_size: int,
    state: State | None = None,
    save: Save | None = None,
    description: str = "attacking",
) -> State:
    """Attack every image of `split` under `protocol`; arguments as `harness.attack_all`."""
    grid = [eps.value for eps in protocol.eps]
    with borrowed(model, device), bar(description, len(split)) as update:
        job = Job(
            Target(model), Target(search_model(model)), split, grid, protocol.norm, ladder,
            seed, device,
        )  # fmt: skip
        if state is None:
            state = clean_state(job.judge, split, device, batch_size, levels=len(grid))
            state.stage = [PLACE] * len(split)
        while rows := _next(job, state)[:batch_size]:
            started = time.perf_counter()
            _step(job, state, rows)
            state.attack_seconds += time.perf_counter() - started
            if save is not None:
                save(state)
            left = sum(_open(state, row) for row in range(len(split)))
            update(len(split) - left, f"{left} open")
    return state


def _open(state: State, row: int) -> bool:
    """Whether an attack is still due: at the next level, or to check a conclusion."""
    return state.correct[row] and (
        state.failed[row] < state.level[row] - 1 or state.check[row] >= 0
    )


def _aim(state: State, row: int) -> int:
    """The level at which this image is attacked next."""
    return state.check[row] if state.check[row] >= 0 else state.level[row] - 1


def _next(job: Job, state: State) -> list[int]:
    """The open images that wait for the cheapest component, in order of position."""
    waiting = [row for row in range(len(job.split)) if _open(state, row)]
    cheapest = min((state.stage[row] for row in waiting), default=PLACE)
    return [row for row in waiting if state.stage[row] == cheapest]


def _step(job: Job, state: State, rows: list[int]) -> None:
    """Run one component on these images, each one level below what broke it so far."""
    stage = state.stage[rows[0]]
    job.target.passes = job.judge.passes = Passes()
    chosen = job.split.take(torch.tensor(rows))
    x, y = chosen.pixels().to(job.device), chosen.labels.to(job.device)
    name = _name(job, state, rows[0])
    if stage == PLACE:
        _place(job, state, rows, x, y)
    else:
        _climb(job, state, rows, chosen.index.tolist(), x, y)
    spend(state, name, job.target.passes)


def _climb(job: Job, state: State, rows: list[int], index: list[int], x: Tensor, y: Tensor) -> None:
    """Run a rung on these images, each at its own level."""
    stage = state.stage[rows[0]]
    rung = job.ladder[stage]
    levels = [_aim(state, row) for row in rows]
    eps = torch.tensor([job.grid[level] for level in levels], dtype=torch.float64)
    seeds = torch.tensor([stream(job.seed, rung.name, image) for image in index])
    x_adv = rung.attack(
        job.target, x, y, seeds.to(job.device), eps=eps.float().to(x.device), norm=job.norm
    )
    found = _enter(job, state, rows, x_adv, x, y, eps, rung.name)
    for row, is_broken, level in zip(rows, found, levels, strict=True):
        checking = state.check[row] >= 0
        state.stage[row] = 0 if is_broken else stage + 1
        if is_broken and checking:
            # The conclusion was wrong: search on below as if nothing had been concluded.
            state.check[row], state.failed[row] = REFUTED, -1
        elif state.stage[row] == len(job.ladder):
            state.stage[row] = 0
            if checking:
                state.check[row] = CONFIRMED
            else:
                state.failed[row] = level
                state.check[row] = _conclusion_to_check(job, state, row)


def _conclusion_to_check(job: Job, state: State, row: int) -> int:
    """A level at which this image was not attacked, for one image in `ONE_IN`."""
    if state.check[row] != UNCHECKED or state.failed[row] < 1:
        return state.check[row]
    draw = stream(job.seed, "check", int(job.split.index[row]))
    return draw // ONE_IN % state.failed[row] if draw % ONE_IN == 0 else UNCHECKED


def _place(job: Job, state: State, rows: list[int], x: Tensor, y: Tensor) -> None:
    """One gradient at the image, tried along the grid until a single step breaks it."""
    with torch.enable_grad():
        point = x.clone().requires_grad_()
        loss = F.cross_entropy(job.target(point), y, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, point)
    direction = steepest(gradient, job.norm)
    standing = list(range(len(rows)))
    for eps in job.grid:
        at = torch.tensor(standing, device=x.device)
        radius = torch.full((len(standing),), eps, dtype=torch.float64)
        found = _enter(
            job, state, [rows[i] for i in standing], x[at] + eps * direction[at], x[at], y[at],
            radius, "fgsm",
        )  # fmt: skip
        standing = [i for i, is_broken in zip(standing, found, strict=True) if not is_broken]
        if not standing:
            break
    for row in rows:
        state.stage[row] = 0
        if not job.ladder:
            state.failed[row] = state.level[row] - 1


def _enter(
    job: Job,
    state: State,
    rows: list[int],
    x_adv: Tensor,
    x: Tensor,
    y: Tensor,
    eps: Tensor,
    name: str,
) -> list[bool]:
    """Project, measure and judge; enter what the original network misclassifies."""
    x_adv = project(x_adv.to(x), x, eps, job.norm)
    with torch.no_grad():
        broken: list[bool] = (job.judge(x_adv).argmax(1) != y).tolist()
    norms = distance(x_adv, x, job.norm).tolist()
    for row, is_broken, norm in zip(rows, broken, norms, strict=True):
        if is_broken:
            # The norm it really has may lie within a smaller epsilon of the grid too.
            state.level[row] = bisect_left(job.grid, norm)
            state.component[row] = name
            state.norm[row] = norm
    return broken


def _name(job: Job, state: State, row: int) -> str:
    stage = state.stage[row]
    return "fgsm" if stage == PLACE else job.ladder[stage].name
