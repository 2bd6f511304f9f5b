"""The fast schedule: a curve is one job, not one job per epsilon.

One gradient places every image on the grid: the smallest epsilon at which a single step
breaks it. From there each image is attacked one epsilon below the smallest that is known to
break it, cheap components before dear ones, until the whole ensemble has failed once. Below
that epsilon nothing is attacked: what withstood a larger ball is counted as withstanding
the smaller ones, and marked as inferred. A fixed share of these conclusions is attacked
outright; what that breaks is entered and counted.

Images at different epsilons share a batch, and each draws from its own stream, so the
outcome depends neither on the batches nor on their order.

Rungs that are meant for a sample are climbed by that sample alone, until they break one of
its images: then by all.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from robustbench_mix.attacks.base import Target
from robustbench_mix.attacks.native.ensembles import Rung
from robustbench_mix.attacks.native.pgd import first_direction
from robustbench_mix.attacks.norms import distance, project
from robustbench_mix.attacks.passes import Count
from robustbench_mix.attacks.streams import stream
from robustbench_mix.config.protocols import Protocol
from robustbench_mix.data.dataset import Split
from robustbench_mix.evaluation import remaining_passes
from robustbench_mix.evaluation.compiled_model import ForwardOnly
from robustbench_mix.evaluation.reference import Save, borrowed, clean_state, sample, spend
from robustbench_mix.evaluation.remaining_passes import Meter, Step
from robustbench_mix.evaluation.sample_audit import audited, hits
from robustbench_mix.evaluation.state import State
from robustbench_mix.models.cuda_graphs import with_cuda_graphs
from robustbench_mix.models.fusion import convert_to_bfloat16, simplify
from robustbench_mix.models.prepacked import prepack
from robustbench_mix.runtime.devices import has_fast_bfloat16
from robustbench_mix.runtime.memory import retry_with_smaller_batches
from robustbench_mix.runtime.progress import progress_bar
from robustbench_mix.runtime.threads import tune_threads

PLACE = -1  # the stage of an image that has not been placed on the grid
ONE_IN = 20  # one image in so many has a conclusion about it attacked outright
# Where the margin found in bfloat16 is below this share of the spread of the logits, the
# exact network is asked: about the 99th percentile of the error on trained networks.
DOUBT = 0.01


@dataclass(frozen=True)
class Job:
    """What does not change during a run; `steps` are placing and the rungs, for the estimate."""

    judge: Target
    target: Target
    split: Split
    grid: list[float]
    norm: str
    ladder: list[Rung]
    steps: list[Step]
    sampled: set[int]
    seed: int
    device: torch.device
    found: Tensor | None
    forward_only: ForwardOnly

    @property
    def shared(self) -> int:
        """The number of rungs that every image climbs."""
        return sum(rung.sample == 0 for rung in self.ladder)


class Task(NamedTuple):
    """One image to attack: below what broke it so far, or to check a conclusion about it."""

    row: int
    checks: bool


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
    exact: bool = False,
    place: bool = True,
    found: Tensor | None = None,
    images: int = 0,
) -> State:
    """Attack every image of `split` under `protocol`; arguments as `reference.attack_all`.

    `images` is how many there are in all, where `split` is a part of them. `exact` searches in the
    network's own precision where bfloat16 would be faster. Without `place` the ladder is all that
    attacks. `found` (n, C, H, W) is given, in place, the example of the smallest epsilon of each
    image that is broken.
    """
    grid = [eps.value for eps in protocol.eps]
    with borrowed(model, device):
        judge = Target(model)
        x = sample(split, device, judge.dtype)
        target = searched(model, x, exact=exact)
        if state is None:
            state = clean_state(judge, split, device, batch_size, levels=len(grid))
            state.stage = [PLACE if place else 0] * len(split)
            state.forward, state.gradient = [0] * len(split), [0] * len(split)
        sampled = audited(state, split, ladder, seed)
        steps = _steps(x, ladder, protocol.norm, len(grid))
        job = Job(
            judge, target, split, grid, protocol.norm, ladder, steps, sampled, seed, device, found,
            ForwardOnly(target, x, images or len(split)),
        )  # fmt: skip
        done = remaining_passes.work_done(state)
        about = done + remaining_passes.work_of(left(job, state))
        with progress_bar(description, about, done) as update, tune_threads(target):
            target.on_pass = meter = Meter(update)
            while tasks := _open(job, state):
                cheapest = min(_stage(state, task) for task in tasks)
                batch = [task for task in tasks if _stage(state, task) == cheapest]
                batch = batch[: state.batch_size]
                ahead = remaining_passes.work_of(left(job, state))
                note = f"{_name(job, cheapest)}, {len({task.row for task in tasks})} open"
                own = remaining_passes.cost(steps[cheapest + 1]) * len(batch)
                meter.begin(remaining_passes.work_done(state), ahead, own, note)
                started = time.perf_counter()
                state.batch_size = retry_with_smaller_batches(
                    partial(_step, job, state), batch, state.batch_size
                )
                state.attack_seconds += time.perf_counter() - started
                if save is not None:
                    save(state)
            meter.end(remaining_passes.work_done(state))
        for row in range(len(split)):
            if state.correct[row]:  # also of those that were left at the rungs for the sample
                state.failed[row] = state.level[row] - 1
    return state


def searched(model: nn.Module, x: Tensor, *, exact: bool = False) -> Target:
    """The network that attacks search: the cheapest equal one, in bfloat16 where that is faster.

    `x` are a few of the images. What is found in bfloat16 is judged in the model's own
    precision within the attack already, and so is what comes close.
    """
    cheapest = simplify(model, x)
    halved = None
    if not exact and x.dtype == torch.float32 and has_fast_bfloat16(x.device):
        halved = convert_to_bfloat16(cheapest, x)
    exact_net = with_cuda_graphs(prepack(cheapest, x), x)
    if halved is None:
        return Target(exact_net)
    return Target(with_cuda_graphs(prepack(halved, x), x), judge=Target(exact_net), doubt=DOUBT)


def _steps(x: Tensor, ladder: list[Rung], norm: str, levels: int) -> list[Step]:
    """Placing and the rungs with the passes of an image like x that withstands them."""
    rungs = [Step(rung.name, rung.passes(x, norm)) for rung in ladder]
    return [Step("fgsm", Count(1 + levels, 1)), *rungs]


def left(job: Job, state: State) -> dict[str, Count]:
    """The passes that each rung, and placing, is expected to take yet (`left_to_climb`)."""
    placing, *rungs = job.steps
    climb = remaining_passes.Climb(placing, rungs, len(job.grid), _heights(job, state), ONE_IN)
    return remaining_passes.left_to_climb(state, climb)


def _heights(job: Job, state: State) -> list[int]:
    """How many rungs each image climbs if it stands."""
    refuted = bool(hits(state, job.sampled))
    return [
        len(job.ladder) if refuted or row in job.sampled else job.shared
        for row in range(len(job.split))
    ]


def _open(job: Job, state: State) -> list[Task]:
    """What is left to attack, in order of position."""
    tasks = []
    for row, height in enumerate(_heights(job, state)):
        if (
            state.correct[row]
            and state.failed[row] < state.level[row] - 1
            and state.stage[row] < height
        ):
            tasks.append(Task(row, checks=False))
        # A check at or above what broke the image meanwhile has nothing left to say.
        if 0 <= state.check[row] < state.level[row] and not state.checked[row]:
            tasks.append(Task(row, checks=True))
    return tasks


def _stage(state: State, task: Task) -> int:
    return state.check_stage[task.row] if task.checks else state.stage[task.row]


def _name(job: Job, stage: int) -> str:
    return "fgsm" if stage == PLACE else job.ladder[stage].name


def _aim(state: State, task: Task) -> int:
    """The level at which this image is attacked next."""
    return state.check[task.row] if task.checks else state.level[task.row] - 1


def _step(job: Job, state: State, batch_size: int, tasks: list[Task]) -> None:
    """Run one component on these images, in batches of as many copies as fit."""
    stage = _stage(state, tasks[0])
    job.target.capacity = batch_size
    job.target.count_for(len(tasks))
    job.judge.passes = job.target.passes
    rows = [task.row for task in tasks]
    chosen = job.split.take(torch.tensor(rows))
    x, y = chosen.pixels().to(job.device), chosen.labels.to(job.device)
    if stage == PLACE:
        _place(job, state, rows, x, y)
    else:
        _climb(job, state, tasks, chosen.index.tolist(), x, y)
    job.target.check_finite()
    spend(state, _name(job, stage), job.target.passes, rows)


def _climb(
    job: Job, state: State, tasks: list[Task], index: list[int], x: Tensor, y: Tensor
) -> None:
    """Run a rung on these images, each at its own level."""
    stage = _stage(state, tasks[0])
    rung = job.ladder[stage]
    levels = [_aim(state, task) for task in tasks]
    eps = torch.tensor([job.grid[level] for level in levels], dtype=torch.float64)
    seeds = torch.tensor([stream(job.seed, rung.name, image) for image in index])
    passes = job.steps[stage + 1].passes or Count(0, 1)
    with job.forward_only.lent(passes):
        x_adv = rung.attack(
            job.target, x, y, seeds.to(job.device), eps=eps.float().to(x.device), norm=job.norm
        )
    job.judge.images = job.target.images
    found = _enter(job, state, [task.row for task in tasks], x_adv, x, y, eps, rung.name)
    for task, is_broken, level in zip(tasks, found, levels, strict=True):
        if task.checks:
            _advance_check(job, state, task.row, is_broken)
        else:
            _advance(job, state, task.row, is_broken, level)


def _advance(job: Job, state: State, row: int, is_broken: bool, level: int) -> None:
    """Go on to the next rung, to a lower level, or to rest."""
    stage = state.stage[row] = 0 if is_broken else state.stage[row] + 1
    if stage == job.shared < len(job.ladder) and state.cheap[row] < 0:
        state.cheap[row] = state.level[row]
    if not is_broken and stage == max(len(job.ladder) // 2, 1):
        # It will probably stand: time to check what would be concluded, in the same batches.
        state.check[row] = _level_to_check(job, state, row, level)
    if stage == len(job.ladder):
        state.stage[row], state.failed[row] = 0, level


def _advance_check(job: Job, state: State, row: int, is_broken: bool) -> None:
    """Go on to the next rung; a conclusion that fell opens the search below."""
    state.check_stage[row] += 1
    if is_broken:
        state.checked[row], state.stage[row], state.failed[row] = "refuted", 0, -1
        if state.check_stage[row] <= job.shared:
            state.cheap[row] = min(state.cheap[row], state.level[row])
    elif state.check_stage[row] == len(job.ladder):
        state.checked[row] = "confirmed"


def _level_to_check(job: Job, state: State, row: int, level: int) -> int:
    """A level below this one, for one image in `ONE_IN` and once each; else -1."""
    if state.check[row] >= 0 or level < 1:
        return state.check[row]
    draw = stream(job.seed, "check", int(job.split.index[row]))
    return draw // ONE_IN % level if draw % ONE_IN == 0 else -1


def _place(job: Job, state: State, rows: list[int], x: Tensor, y: Tensor) -> None:
    """One gradient at the image, tried along the grid until a single step breaks it.

    That step is FGSM, which is what the signs of the gradient say: a coarse network would be
    another attack, and one gradient saves nothing.
    """
    everybody = torch.arange(len(rows))
    source = job.target if job.target.judge is None else job.target.exact(everybody)
    direction = first_direction(source, x, y, job.norm)
    standing = list(range(len(rows)))
    for eps in job.grid:
        at = torch.tensor(standing, device=x.device)
        radius = torch.full((len(standing),), eps, dtype=torch.float64)
        job.judge.images = torch.tensor(standing)
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
    x_adv = project(x_adv.to(x), x, eps.to(x.device), job.norm)
    with torch.no_grad():
        broken: list[bool] = (job.judge(x_adv).argmax(1) != y).tolist()
    norms = distance(x_adv, x, job.norm).tolist()
    for row, point, is_broken, norm in zip(rows, x_adv, broken, norms, strict=True):
        if is_broken and norm <= _smallest(job, state, row):
            # The norm it really has may lie within a smaller epsilon of the grid too.
            state.level[row] = bisect_left(job.grid, norm)
            state.component[row] = name
            state.norm[row] = norm
            if job.found is not None:
                job.found[row] = point.cpu()
    return broken


def _smallest(job: Job, state: State, row: int) -> float:
    """The largest norm that would still lower this image's level."""
    level = state.level[row]
    return job.grid[level - 1] if level else 0.0
