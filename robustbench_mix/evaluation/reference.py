"""The reference engine: run a protocol's stages and verify whatever they return.

For each epsilon in ascending order, and each stage, the images that still stand are attacked in
batches. The returned images are projected onto the ball, measured in float64, and judged by a
forward pass of the original network. The balls are nested, so an example found at a small epsilon
counts at every larger one, and the image is not attacked again. Robust accuracy counted this way
is an upper bound. A stage that looks for the nearest example runs once; its result is projected
onto each ball of the grid.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from robustbench_mix.attacks.base import Batch, Stage, check_norm
from robustbench_mix.attacks.counted_model import CountedModel
from robustbench_mix.attacks.norms import distance, project
from robustbench_mix.attacks.streams import stream
from robustbench_mix.attacks.voting import draw_logits, majority_is_wrong
from robustbench_mix.config.protocols import Protocol
from robustbench_mix.data.dataset import Split
from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation.borrow import borrow
from robustbench_mix.evaluation.harness import Settings, add_passes, clean_state, sample
from robustbench_mix.evaluation.meter import Meter
from robustbench_mix.evaluation.remaining_passes import StagePasses, is_known, work_done
from robustbench_mix.evaluation.remaining_reference import ReferenceWork, reference_work_left
from robustbench_mix.evaluation.state import State
from robustbench_mix.models.fusion import simplify
from robustbench_mix.runtime.memory import retry_with_smaller_batches
from robustbench_mix.runtime.progress import progress_bar
from robustbench_mix.runtime.threads import tune_threads


@dataclass(frozen=True)
class _Job:
    """The constants of a run: `judge` decides, `model` is attacked."""

    judge: CountedModel
    model: CountedModel
    split: Split
    protocol: Protocol
    seed: int
    device: torch.device
    draws: int
    found: Tensor | None


def attack_all(
    model: nn.Module,
    split: Split,
    protocol: Protocol,
    stages: list[Stage],
    settings: Settings,
    state: State | None = None,
    *,
    exhaustive: bool = False,
    draws: int = 1,
) -> State:
    """Attack every image under a protocol and return the verified outcome.

    The model's mode, device and gradient flags are restored.

    Args:
        model: The network, pixels (B, C, H, W) in [0, 1] to logits.
        split: The images.
        protocol: The grid of epsilons and the norm.
        stages: The attacks, in the order in which they run.
        settings: Seed, device, batch size, and what to do after each batch.
        state: The state of an earlier, unfinished run, to continue it.
        exhaustive: Whether to attack images that are already broken too.
        draws: Number of forward passes whose majority decides; above 1 for a randomised network,
            which is then attacked as it is.

    Returns:
        The state after the last attack.

    Raises:
        RbmixError: If the model's clean logits are not finite or do not fit the labels, or if a
            stage does not search in the protocol's norm.
    """
    check_norm(stages, protocol.norm)
    device = settings.device
    with borrow(model, device):
        judge = CountedModel(model)
        simple = model if draws > 1 else simplify(model, sample(split, device))
        job = _Job(
            judge, CountedModel(simple), split, protocol, settings.seed, device, draws,
            settings.found,
        )  # fmt: skip
        if state is None:
            state = clean_state(judge, split, settings, len(protocol.eps), draws=draws)
        plan = _plan(stages, len(protocol.eps))
        expected = _expected(job, plan, exhaustive)
        done = work_done(state)
        about = done + sum(reference_work_left(state, expected))
        with progress_bar(settings.description, about, done) as update, tune_threads(job.model):
            job.model.on_pass = meter = Meter(update)
            for number, (level, stage) in enumerate(plan, start=1):
                where = "nearest" if stage.nearest else f"eps {protocol.eps[level].text}"
                work = partial(_attack_batch, job, state, level, stage)
                while pending := _pending(state, number, level, exhaustive):
                    rows = pending[: state.batch_size]
                    ahead = reference_work_left(state, expected)
                    own = ahead[number - 1] * len(rows) / len(pending)
                    note = f"{where}, {stage.name}, {len(pending)} open"
                    meter.begin(
                        work_done(state), sum(ahead), own, note,
                        is_known=is_known(state, expected.plan[number - 1][1]),
                    )  # fmt: skip
                    started = time.perf_counter()
                    state.batch_size = retry_with_smaller_batches(work, rows, state.batch_size)
                    for row in rows[: state.batch_size]:
                        state.stage[row] = number
                    state.attack_seconds += time.perf_counter() - started
                    if settings.save is not None:
                        settings.save(state)
            meter.end(work_done(state))
    return state


def _expected(job: _Job, plan: list[tuple[int, Stage]], exhaustive: bool) -> ReferenceWork:
    """Return the plan with, for each stage, the passes of an image that withstands it."""
    x, protocol = sample(job.split, job.device), job.protocol
    passes = [(level, StagePasses(one.name, one.passes(x, protocol.norm))) for level, one in plan]
    return ReferenceWork(passes, [eps.value for eps in protocol.eps], exhaustive)


def _plan(stages: list[Stage], levels: int) -> list[tuple[int, Stage]]:
    """Return (level, stage) pairs in their order; stages that serve the whole grid come first."""
    once = [(0, stage) for stage in stages if stage.nearest]
    each = [stage for stage in stages if not stage.nearest]
    return once + [(level, stage) for level in range(levels) for stage in each]


def _attack_batch(
    job: _Job, state: State, level: int, stage: Stage, _: int, rows: list[int]
) -> None:
    """Run one stage on these rows and record what it verifiably broke."""
    grid, norm = [eps.value for eps in job.protocol.eps], job.protocol.norm
    model, judge = job.model, job.judge
    model.reset_passes(len(rows))
    judge.passes, judge.images = model.passes, model.images
    eps = grid[-1] if stage.nearest else grid[level]
    batch = _batch(job, stage, rows, eps)
    x, index = batch.x, batch.index
    torch.manual_seed(stream(job.seed, stage.name, repr(eps), *index))
    found = stage.attack(model, batch)
    if found.shape != x.shape:
        raise RbmixError(
            f"attack {stage.name!r} returned shape {tuple(found.shape)} for {tuple(x.shape)}"
        )
    for within in grid if stage.nearest else [eps]:
        x_adv = project(found.to(x), x, within, norm)
        torch.manual_seed(stream(job.seed, "verdict", stage.name, repr(within), *index))
        broken = majority_is_wrong(draw_logits(judge, x_adv, job.draws), batch.y).tolist()
        norms = distance(x_adv, x, norm).tolist()
        for row, point, is_broken, reach in zip(rows, x_adv, broken, norms, strict=True):
            at = bisect_left(grid, reach) if stage.nearest else level
            if is_broken and state.level[row] > at:
                state.level[row] = at
                state.component[row] = stage.name
                state.norm[row] = reach
                if job.found is not None:
                    job.found[row] = point.cpu()
    model.check_finite()
    add_passes(state, stage.name, model.passes, rows if stage.counts_per_image else None)


def _batch(job: _Job, stage: Stage, rows: list[int], eps: float) -> Batch:
    """Return the images of these rows as a batch with one eps."""
    chosen = job.split.take(torch.tensor(rows))
    index = chosen.index.tolist()
    seeds = torch.tensor([stream(job.seed, stage.name, image) for image in index])
    return Batch(
        x=chosen.pixels().to(job.device),
        y=chosen.labels.to(job.device),
        eps=torch.full((len(rows),), eps, dtype=torch.float64),
        seeds=seeds.to(job.device),
        norm=job.protocol.norm,
        index=index,
        seed=job.seed,
    )


def _pending(state: State, number: int, level: int, exhaustive: bool) -> list[int]:
    """Return the rows that entry `number` of the plan still has to attack, in a fixed order.

    Rows that it has attacked are left out, broken or not: a resumed run forms the same batches.
    """
    return [
        row
        for row, correct in enumerate(state.correct)
        if correct and state.stage[row] < number and (exhaustive or state.level[row] > level)
    ]
