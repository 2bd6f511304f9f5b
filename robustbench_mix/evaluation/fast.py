"""The fast engine: attack a whole curve in one job, not in one job per epsilon.

One gradient places every image on the grid: the smallest epsilon at which a single step
breaks it. From there each image is attacked one epsilon below the smallest that is known to
break it, cheapest stages first, until the whole ensemble has failed once (`fast_plan`). Below
that epsilon nothing is attacked: an image that withstood a larger ball is counted as withstanding
the smaller ones, and marked as inferred. A fixed share of these conclusions is tested by an
attack; images that it breaks are recorded and counted.

Images at different epsilons share a batch, and each draws from its own stream, so the
outcome depends neither on the batches nor on their order.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from robustbench_mix.attacks.base import Batch, Stage
from robustbench_mix.attacks.counted_model import CountedModel
from robustbench_mix.attacks.losses import margin
from robustbench_mix.attacks.native.fgsm import fgsm_direction
from robustbench_mix.attacks.norms import distance, project
from robustbench_mix.attacks.passes import Count
from robustbench_mix.attacks.streams import stream
from robustbench_mix.config.protocols import Protocol
from robustbench_mix.data.dataset import Split
from robustbench_mix.evaluation import remaining_passes, sample_audit
from robustbench_mix.evaluation.borrow import borrow
from robustbench_mix.evaluation.compiled_model import ForwardOnly
from robustbench_mix.evaluation.fast_plan import (
    PLACE,
    Attempt,
    FastPlan,
    advance,
    advance_check,
    note_margin,
    open_attempts,
    passes_left,
    plan_of,
)
from robustbench_mix.evaluation.harness import Settings, add_passes, clean_state, sample
from robustbench_mix.evaluation.meter import Meter
from robustbench_mix.evaluation.search_model import search_model
from robustbench_mix.evaluation.state import State
from robustbench_mix.runtime.memory import retry_with_smaller_batches
from robustbench_mix.runtime.progress import progress_bar
from robustbench_mix.runtime.threads import tune_threads


@dataclass(frozen=True)
class FastOptions:
    """Options of the fast engine, in addition to `Settings`.

    Args:
        exact: Whether to search in the network's own precision even if bfloat16 is faster.
        place: Whether one gradient step places the images; without it only the stages attack.
        images: Number of images in all if only a part of them is attacked; 0 for all.
    """

    exact: bool = False
    place: bool = True
    images: int = 0


@dataclass(frozen=True)
class _Job:
    """The constants of a run: `judge` decides, `model` is attacked."""

    judge: CountedModel
    model: CountedModel
    plan: FastPlan
    split: Split
    grid: list[float]
    norm: str
    device: torch.device
    found: Tensor | None
    forward_only: ForwardOnly


def search_all(
    model: nn.Module,
    split: Split,
    protocol: Protocol,
    stages: list[Stage],
    settings: Settings,
    state: State | None = None,
    *,
    options: FastOptions | None = None,
) -> State:
    """Attack every image under a protocol and return the verified outcome.

    The model's mode, device and gradient flags are restored.

    Args:
        model: The network, pixels (B, C, H, W) in [0, 1] to logits.
        split: The images.
        protocol: The grid of epsilons and the norm.
        stages: The attacks, cheapest first.
        settings: Seed, device, batch size, and what to do after each batch.
        state: The state of an earlier, unfinished run, to continue it.
        options: Further options.

    Returns:
        The state after the last attack.

    Raises:
        RbmixError: If the model's clean logits are not finite or do not fit the labels.
    """
    options = options or FastOptions()
    grid = [eps.value for eps in protocol.eps]
    device = settings.device
    with borrow(model, device):
        judge = CountedModel(model)
        x = sample(split, device)
        searched = search_model(model, x, exact=options.exact)
        if state is None:
            # The models of this engine draw nothing: the clean state does not depend on the seed.
            state = clean_state(judge, split, replace(settings, seed=0), len(grid))
            state.stage = [PLACE if options.place else 0] * len(split)
            state.forward, state.gradient = [0] * len(split), [0] * len(split)
        state.search = "" if searched.judge is None else "bfloat16"
        plan = plan_of(stages, split, x, norm=protocol.norm, levels=len(grid), seed=settings.seed)
        job = _Job(
            judge, searched, plan, split, grid, protocol.norm, device, settings.found,
            ForwardOnly(searched, x, options.images or len(split)),
        )  # fmt: skip
        _attack_open(job, state, settings)
        for row in range(len(split)):
            if state.correct[row]:  # also the images that never met the stages for the sample
                state.failed[row] = state.level[row] - 1
    return state


def _attack_open(job: _Job, state: State, settings: Settings) -> None:
    """Attack until no attempt is open, the least advanced images first."""
    plan = job.plan
    done = remaining_passes.work_done(state)
    about = done + remaining_passes.work_of(passes_left(plan, state))
    with progress_bar(settings.description, about, done) as update, tune_threads(job.model):
        job.model.on_pass = meter = Meter(update)
        while attempts := _open_attempts(plan, state):
            first = min(one.stage(state) for one in attempts)
            batch = [one for one in attempts if one.stage(state) == first]
            batch = batch[: state.batch_size]
            ahead = remaining_passes.work_of(passes_left(plan, state))
            note = f"{plan.name(first)}, {len({one.row for one in attempts})} open"
            own = remaining_passes.cost(plan.passes_of(first)) * len(batch)
            meter.begin(remaining_passes.work_done(state), ahead, own, note)
            started = time.perf_counter()
            work = partial(_attack_batch, job, state)
            state.batch_size = retry_with_smaller_batches(work, batch, state.batch_size)
            state.attack_seconds += time.perf_counter() - started
            if settings.save is not None:
                settings.save(state)
        meter.end(remaining_passes.work_done(state))


def _open_attempts(plan: FastPlan, state: State) -> list[Attempt]:
    """Return the attempts that are left; draw the sample of an audit once its time has come."""
    if plan.bound and sample_audit.is_due(state):
        sample_audit.draw_sample(state, plan.index, plan.bound, plan.seed)
    return open_attempts(plan, state)


def _attack_batch(job: _Job, state: State, batch_size: int, attempts: list[Attempt]) -> None:
    """Run one stage on these images, in batches as large as memory allows."""
    stage = attempts[0].stage(state)
    job.model.capacity = batch_size
    job.model.reset_passes(len(attempts))
    job.judge.passes = job.model.passes
    rows = [one.row for one in attempts]
    chosen = job.split.take(torch.tensor(rows))
    x, y = chosen.pixels().to(job.device), chosen.labels.to(job.device)
    if stage == PLACE:
        _place(job, state, rows, x, y)
    else:
        _run_stage(job, state, attempts, x, y)
    job.model.check_finite()
    add_passes(state, job.plan.name(stage), job.model.passes, rows)


def _run_stage(job: _Job, state: State, attempts: list[Attempt], x: Tensor, y: Tensor) -> None:
    """Run a stage on these images, each at its own level."""
    number = attempts[0].stage(state)
    stage = job.plan.stages[number]
    rows = [one.row for one in attempts]
    levels = [one.level(state) for one in attempts]
    eps = torch.tensor([job.grid[level] for level in levels], dtype=torch.float64)
    index = [job.plan.index[row] for row in rows]
    seeds = torch.tensor([stream(job.plan.seed, stage.name, image) for image in index])
    batch = Batch(x, y, eps, seeds.to(job.device), job.norm, index, job.plan.seed)
    passes = job.plan.passes[number].passes or Count(0, 1)
    with job.forward_only.lend(passes):
        x_adv = stage.attack(job.model, batch)
    job.judge.images = job.model.images
    broken, margins = _enter(job, state, rows, x_adv, x, y, eps, stage.name)
    for attempt, is_broken, value, level in zip(attempts, broken, margins, levels, strict=True):
        if attempt.is_check:
            advance_check(job.plan, state, attempt.row, is_broken=is_broken)
        else:
            if number < job.plan.shared:
                note_margin(state, attempt.row, value, is_broken=is_broken)
            advance(job.plan, state, attempt.row, level, is_broken=is_broken)


def _place(job: _Job, state: State, rows: list[int], x: Tensor, y: Tensor) -> None:
    """Compute one gradient per image and try it along the grid until a single step breaks it.

    That step is FGSM, which depends on the signs of the gradient alone. On a coarser copy of the
    network it would be another attack, and for one gradient the copy saves nothing.
    """
    everybody = torch.arange(len(rows))
    source = job.model if job.model.judge is None else job.model.take_judge(everybody)
    direction = fgsm_direction(source, x, y, job.norm)
    standing = list(range(len(rows)))
    for eps in job.grid:
        at = torch.tensor(standing, device=x.device)
        radius = torch.full((len(standing),), eps, dtype=torch.float64)
        job.judge.images = torch.tensor(standing)
        broken, _ = _enter(
            job, state, [rows[i] for i in standing], x[at] + eps * direction[at], x[at], y[at],
            radius, "fgsm",
        )  # fmt: skip
        standing = [i for i, is_broken in zip(standing, broken, strict=True) if not is_broken]
        if not standing:
            break
    for row in rows:
        state.stage[row] = 0
        if not job.plan.stages:
            state.failed[row] = state.level[row] - 1


def _enter(
    job: _Job,
    state: State,
    rows: list[int],
    x_adv: Tensor,
    x: Tensor,
    y: Tensor,
    eps: Tensor,
    name: str,
) -> tuple[list[bool], list[float]]:
    """Project, measure and judge; record what the original network misclassifies.

    Returns:
        Which images are broken, and their margins.
    """
    x_adv = project(x_adv.to(x), x, eps.to(x.device), job.norm)
    with torch.no_grad():
        logits = job.judge(x_adv)
    broken: list[bool] = (logits.argmax(1) != y).tolist()
    norms = distance(x_adv, x, job.norm).tolist()
    for row, point, is_broken, norm in zip(rows, x_adv, broken, norms, strict=True):
        if is_broken and norm <= _smallest(job, state, row):
            # The actual norm may lie within a smaller epsilon of the grid too.
            state.level[row] = bisect_left(job.grid, norm)
            state.component[row] = name
            state.norm[row] = norm
            if job.found is not None:
                job.found[row] = point.cpu()
    return broken, margin(logits, y).tolist()


def _smallest(job: _Job, state: State, row: int) -> float:
    """Return the largest norm that would still lower this image's level."""
    level = state.level[row]
    return job.grid[level - 1] if level else 0.0
