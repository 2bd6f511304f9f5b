"""How many passes are still to come: simulated runs against what they really took."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from robustbench_mix.attacks import progress, registry
from robustbench_mix.attacks.base import Batch
from robustbench_mix.attacks.counted_model import CountedModel
from robustbench_mix.attacks.native.square import expected_queries, square
from robustbench_mix.attacks.passes import Count
from robustbench_mix.config import protocols
from robustbench_mix.config.epsilon import Eps
from robustbench_mix.data.dataset import Dataset
from robustbench_mix.evaluation import diagnostics, fast, probe, probe_identity, reference, transfer
from robustbench_mix.evaluation.harness import Settings
from robustbench_mix.evaluation.identity import Label
from robustbench_mix.evaluation.inputs import Inputs
from robustbench_mix.evaluation.meter import Meter
from robustbench_mix.evaluation.remaining_fast import FastWork, fast_passes_left
from robustbench_mix.evaluation.remaining_passes import (
    StagePasses,
    cost,
    is_known,
    work_done,
    work_of,
)
from robustbench_mix.evaluation.remaining_reference import ReferenceWork, reference_work_left
from robustbench_mix.evaluation.state import State
from robustbench_mix.models.checkpoint import CheckpointHeader
from robustbench_mix.results import records
from robustbench_mix.results.headers import TransferHeader
from robustbench_mix.runtime.pace import Pace
from robustbench_mix.storage.validation import extend

HONEST = 1.5  # by what factor an estimate may be wrong, after a tenth
CIFAR = torch.zeros(8, 3, 32, 32)
PLACE = -1
ONE_IN = 20


@dataclass
class Image:
    """What will break an image: the attack at each level of the grid, '' for none."""

    breaker: list[str]
    correct: bool = True
    margin: float = 1.0


@dataclass
class Spent:
    """Passes so far, as `Meter` is told."""

    forward: int = 0
    gradient: int = 0


def state_of(images: list[Image], levels: int, stage: int) -> State:
    """Before any attack."""
    n = len(images)
    return State(
        prediction=[0] * n, margin=[image.margin for image in images],
        correct=[image.correct for image in images],
        level=[levels] * n, component=[""] * n, norm=[0.0] * n, stage=[stage] * n,
        failed=[-1] * n, check=[-1] * n, check_stage=[0] * n, checked=[""] * n, cheap=[-1] * n,
        reached=[1.0] * n, stratum=[-1] * n, sampled=[False] * n,
        forward=[0] * n, gradient=[0] * n, batch_size=128,
    )  # fmt: skip


class Simulation:
    """A run that takes the passes an attack would; `seen` are (done, expected in all)."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.draw = random.Random(0)
        self.seen: list[tuple[float, float]] = []
        self.meter = Meter(self)

    def __call__(self, done: float, note: str = "", total: float | None = None) -> None:
        assert total is not None
        self.seen.append((done, total))

    def spend(self, step: StagePasses, passes: Count, standing: list[bool]) -> None:
        """The passes of a batch, in which images fall or stand, in ten portions."""
        shares = [
            self.draw.uniform(0.95, 1.05) if stands else self.draw.uniform(0, 0.5)
            for stands in standing
        ]
        final = passes.times(sum(shares))
        for portion in range(1, 11):
            self.meter(Spent(*(round(part) for part in final.times(portion / 10))))
        entry = self.state.passes.setdefault(step.name, {"forward": 0, "gradient": 0})
        entry["forward"] += round(final.forward)
        entry["gradient"] += round(final.gradient)


def run_fast(images: list[Image], stages: list[StagePasses], levels: int) -> Simulation:
    """The fast schedule, as `fast` runs it."""
    state = state_of(images, levels, PLACE)
    run = Simulation(state)
    placing = StagePasses("fgsm", Count(1 + levels, 1))
    work = FastWork(placing, stages, levels, [len(stages)] * len(images), ONE_IN)
    names = ["fgsm", *(one.name for one in stages)]

    def open_rows() -> list[int]:
        return [
            row
            for row, image in enumerate(images)
            if image.correct and state.failed[row] < state.level[row] - 1
        ]

    def breaks(row: int, name: str, level: int) -> bool:
        by = images[row].breaker[level]
        return by != "" and names.index(by) <= names.index(name)

    while rows := open_rows():
        stage = min(state.stage[row] for row in rows)
        batch = [row for row in rows if state.stage[row] == stage][: state.batch_size]
        step = placing if stage == PLACE else stages[stage]
        left = work_of(fast_passes_left(state, work))
        run.meter.begin(work_done(state), left, cost(step) * len(batch), "")
        fell = []
        for row in batch:
            before = state.level[row]
            if stage == PLACE:
                while state.level[row] and breaks(row, "fgsm", state.level[row] - 1):
                    state.level[row] -= 1
            elif breaks(row, step.name, before - 1):
                state.level[row] -= 1
            fell.append(state.level[row] < before)
            if fell[-1]:
                state.component[row] = step.name
            state.stage[row] = 0 if fell[-1] or stage == PLACE else stage + 1
            if state.stage[row] == len(stages):
                state.stage[row], state.failed[row] = 0, state.level[row] - 1
        run.spend(step, step.passes or Count(70, 70), [not each for each in fell])
    run.meter.end(work_done(state))
    return run


def run_reference(
    images: list[Image], steps: list[StagePasses], grid: list[float], truth: Count
) -> Simulation:
    """The reference schedule, as `reference` runs it; `truth` are passes where a step is silent."""
    state = state_of(images, len(grid), 0)
    run = Simulation(state)
    plan = [(level, step) for level in range(len(grid)) for step in steps]
    work = ReferenceWork(plan, grid, False)
    for number, (level, step) in enumerate(plan, start=1):
        while pending := [
            row
            for row, image in enumerate(images)
            if image.correct and state.stage[row] < number and state.level[row] > level
        ]:
            batch = pending[:50]
            left = reference_work_left(state, work)
            own = left[number - 1] * len(batch) / len(pending)
            run.meter.begin(work_done(state), sum(left), own, "", is_known=is_known(state, step))
            for row in batch:
                state.stage[row] = number
                if images[row].breaker[level] == step.name:
                    state.level[row], state.component[row] = level, step.name
            run.spend(step, step.passes or truth, [True] * len(batch))
    run.meter.end(work_done(state))
    return run


def errors(run: Simulation) -> list[float]:
    """Expected over real work to come, at every per cent from a tenth of the run to nine."""
    final, _ = run.seen[-1]
    found = []
    for percent in range(10, 91):
        done, total = [seen for seen in run.seen if seen[0] <= percent / 100 * final][-1]
        found.append((total - done) / (final - done))
    return found


def honest(run: Simulation) -> float:
    """The share of these moments at which the estimate is within the factor."""
    found = errors(run)
    return sum(1 / HONEST <= error <= HONEST for error in found) / len(found)


AUTOATTACK = [
    StagePasses(one.name, one.passes(CIFAR, "linf"))
    for one in registry.fast_stages("autoattack", 10, {})
]
PGD = [
    StagePasses(one.name, one.passes(CIFAR, "linf")) for one in registry.fast_stages("pgd", 10, {})
]


def real(checkout: Path, protocol: str) -> Iterator[tuple[str, list[Image], list[str]]]:
    """The images of committed runs: which attack broke each, and at what epsilon."""
    for path in sorted((checkout / "results" / "runs").rglob(f"*-s0-{protocol}-*.parquet")):
        run = records.read(path)
        if run.header.protocol == protocol and run.header.backend == "fast":
            names = ("component", "correct", "margin")
            columns = zip(*(run.table[name] for name in names), strict=True)
            images = [Image(list(by), bool(right), margin) for by, right, margin in columns]
            yield path.name, images, run.eps


@pytest.mark.parametrize(("protocol", "stages"), [("autoattack", AUTOATTACK), ("pgd", PGD)])
def test_the_fast_schedule_is_honest(
    checkout: Path, protocol: str, stages: list[StagePasses]
) -> None:
    """The committed runs, whose images fall as they did: always within the factor."""
    found = list(real(checkout, protocol))
    assert len(found) >= 5
    for name, images, eps in found:
        assert honest(run_fast(images, stages, len(eps))) == 1, name


@pytest.mark.parametrize("tells", [True, False])
@pytest.mark.default
@pytest.mark.parametrize("protocol", ["autoattack", "pgd"])
def test_the_reference_schedule_is_honest(checkout: Path, protocol: str, tells: bool) -> None:
    """Attacks that tell their passes, and others: how far margins reach says how many stand.

    It cannot say so of a network that loses nearly all images at the first epsilon, so one moment
    in ten may be outside the factor.
    """
    steps = [
        StagePasses(one.name, one.passes(CIFAR, "linf") if tells else None)
        for one in registry.reference_stages(protocol, 10, {})
    ]
    for name, images, eps in real(checkout, protocol):
        for image in images:  # what one step has broken falls to the first attack here
            image.breaker = [by.replace("fgsm", steps[0].name) for by in image.breaker]
        run = run_reference(images, steps, [Eps(text).value for text in eps], Count(70, 70))
        assert honest(run) >= 0.9, name


def alike(count: int, breaker: list[str]) -> list[Image]:
    """So many images that the same attacks break."""
    return [Image(list(breaker)) for _ in range(count)]


WILD = {
    "nothing falls": alike(200, ["", "", ""]),
    "everything falls to one step": alike(200, ["fgsm"] * 3),
    "gradients mislead one step": alike(200, ["apgd-ce"] * 3),
    "seven in ten mislead": [*alike(60, ["", "", ""]), *alike(140, ["apgd-ce"] * 3)],
    "only Square breaks": [*alike(100, ["square"] * 3), *alike(100, ["", "square", "square"])],
    "every image stands at one": alike(200, ["", "apgd-t", "fgsm"]),
    "none is right": [Image(["fgsm"] * 3, correct=False)] * 20,
    "one image": alike(1, ["", "fgsm", "fgsm"]),
}  # fmt: skip


@pytest.mark.parametrize("name", WILD)
def test_the_share_never_falls_and_ends_at_one(name: str) -> None:
    """Whatever falls, and whenever."""
    run = run_fast(WILD[name], AUTOATTACK, 3)
    pace = Pace(run.seen[0][1])
    shares = []
    for done, total in run.seen:
        pace.update(done, total)
        shares.append(pace.fraction)
        assert pace.percent < 100 or done == total
    assert shares == sorted(shares)
    assert (shares[-1], pace.percent) == (1, 100)


def test_a_run_that_goes_on_knows_as_much() -> None:
    """The estimate needs nothing but the state, as it is written and read again."""
    state = state_of(alike(40, ["", "apgd-t", "fgsm"]), 3, 0)
    state.level, state.stage = [2] * 40, [0] * 20 + [3] * 20
    work = FastWork(StagePasses("fgsm", Count(4, 1)), AUTOATTACK, 3, [4] * 40, ONE_IN)
    written = json.loads(json.dumps(asdict(state)))
    assert fast_passes_left(State(**written), work) == fast_passes_left(state, work)


def test_passes_of_one_stage_are_to_be_had() -> None:
    """As whoever asks whether it pays to prepare for Square does."""
    state = state_of(alike(100, ["", "", ""]), 3, 0)
    work = FastWork(StagePasses("fgsm", Count(4, 1)), AUTOATTACK, 3, [4] * 100, ONE_IN)
    square = AUTOATTACK[-1].passes
    assert square is not None
    before = fast_passes_left(state, work)["square"]
    assert 80 * square.forward < before.forward < 110 * square.forward
    assert before.gradient == 0
    state.stage = [3] * 50 + [0] * 50
    state.failed[:50] = [2] * 50  # these are through
    assert fast_passes_left(state, work)["square"].forward < 0.6 * before.forward
    state.failed = [2] * 100
    assert work_of(fast_passes_left(state, work)) == 0


def test_images_outside_a_sample_meet_fewer_stages() -> None:
    """What is audited on some images is expected on those alone."""
    state = state_of(alike(100, ["", "", ""]), 3, 0)
    work = FastWork(StagePasses("fgsm", Count(4, 1)), AUTOATTACK, 3, [4] * 10 + [2] * 90, ONE_IN)
    left = fast_passes_left(state, work)
    everywhere = fast_passes_left(state, work._replace(heights=[4] * 100))
    assert left["fab-t"].forward == pytest.approx(0.1 * everywhere["fab-t"].forward)
    # What the last stages break would meet the first ones again.
    assert left["apgd-t"].forward == pytest.approx(everywhere["apgd-t"].forward, rel=0.1)


@pytest.mark.parametrize("kind", ["all falls", "all stands"])
def test_square_asks_what_it_is_expected_to(linear_case: Callable, kind: str) -> None:
    """On a small image most queries repeat; the estimate is for one that withstands them."""
    model, split = linear_case(10, n=8)
    x, y = split.pixels(), split.labels
    radius = torch.full((8,), 1e-4 if kind == "all stands" else 0.3)
    counted = CountedModel(model, images=8)
    square(counted, Batch(x, y, radius, torch.arange(8), "linf"), queries=2000)
    expected = 8 * expected_queries(x, "linf", 2000)
    assert expected < 8 * 2000 / 2
    if kind == "all stands":
        assert 1 / HONEST < counted.passes.forward / expected < HONEST
    else:
        assert counted.passes.forward < expected


@pytest.mark.default  # foolbox starts git when it is imported
@pytest.mark.default
def test_a_search_counts_up_to_what_it_took(linear_case: Callable, monkeypatch) -> None:
    """The real schedules: the bar is told of every pass and ends at what the records say."""
    seen: list[tuple[float, float]] = []

    @contextmanager
    def bar(description: str, total: float, done: float = 0.0) -> Iterator[Any]:
        yield lambda done, note="", total=None: seen.append((done, total))

    monkeypatch.setattr(fast, "progress_bar", bar)
    monkeypatch.setattr(reference, "progress_bar", bar)
    model, split = linear_case(10)
    protocol = protocols.load("pgd", "", eps=["0.002", "0.01", "0.04"])
    settings = Settings(0, torch.device("cpu"), 4)
    options = {"steps": 20, "restarts": 2}
    ours = registry.fast_stages("pgd", 10, options)
    library = registry.reference_stages("pgd", 10, options)
    for engine, stages in (
        (fast.search_all, ours),
        (reference.attack_all, library),
        (partial(reference.attack_all, exhaustive=True), ours),
    ):
        seen.clear()
        state = engine(model, split, protocol, stages, settings)
        counted = [done for done, total in seen if total is not None]
        assert counted == sorted(counted)
        assert len(counted) > 200
        assert seen[-1] == (work_done(state), work_done(state))


@pytest.fixture
def ends(monkeypatch) -> list[tuple[float, float]]:
    """What bars around passes expected, and what it came to."""
    found: list[tuple[float, float]] = []

    @contextmanager
    def bar(description: str, total: float, done: float = 0.0) -> Iterator[Any]:
        last = [0.0]
        yield lambda done, note="", total=None: last.append(done)
        assert last == sorted(last)
        found.append((total, last[-1]))

    monkeypatch.setattr(progress, "progress_bar", bar)
    return found


def test_probes_take_what_is_expected(linear_case: Callable, ends, tmp_path: Path) -> None:
    """A probe and a transfer, within the factor."""
    model, split = linear_case(10, n=40)
    twin, _ = linear_case(10)
    label, cpu = Label("resnet14", "frozen", "learned", 0), torch.device("cpu")
    data, eps = Dataset("random", tuple("0123456789"), split, split), ["0.01", "0.02"]
    wanted = (label, CheckpointHeader(), Inputs(data, len(split), cpu), eps)
    header = probe_identity.header_of("probe", *wanted)
    probe._probe(label, model, header, split, tmp_path / "probe.parquet", cpu)
    pair = probe_identity.header_of("transfer", *wanted)
    pair = extend(pair, TransferHeader, classes=["a"] * 10, shape=[2, 5, 5])
    transfer._transfer(label, (model, twin), pair, split, tmp_path / "t.parquet", cpu)
    assert len(ends) == 2
    for expected, took in ends:
        assert 1 / HONEST < took / expected < HONEST


def test_diagnostics_take_what_is_expected(linear_case: Callable, ends) -> None:
    """Of a network before its attack, and of one that mostly stands after it."""
    model, split = linear_case(10, n=64)
    x, y = split.pixels(), split.labels
    diagnostics.of_network(model, x, y, torch.zeros(2), torch.ones(2))
    batch = Batch(x, y, torch.full((64,), 1e-4), torch.arange(64), "linf")
    diagnostics.of_attacks(CountedModel(model), batch, torch.ones(64, dtype=torch.bool), 100)
    assert len(ends) == 2
    for expected, took in ends:
        assert 1 / HONEST < took / expected < HONEST
