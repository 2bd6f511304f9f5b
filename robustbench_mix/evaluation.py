"""One evaluation: a model, a data set and a protocol in; a run on disk out."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from robustbench_mix import checkup, flags, protocols, provenance, reading, records
from robustbench_mix.audit import findings
from robustbench_mix.checkpoints import weights_hash
from robustbench_mix.diagnostics import Measured
from robustbench_mix.files import write_text
from robustbench_mix.harness import check_classes, classes_of
from robustbench_mix.identity import Label, finished, header_of, path_of
from robustbench_mix.locks import alone
from robustbench_mix.obtain import Obtained
from robustbench_mix.progress import say
from robustbench_mix.protocols import Protocol
from robustbench_mix.records import Run
from robustbench_mix.schedules import Schedule, schedule_of
from robustbench_mix.splits import Dataset, Split, balanced
from robustbench_mix.state import State, restored
from robustbench_mix.unfinished import PARTIAL
from robustbench_mix.verdicts import DRAWS

SAVE_EVERY_SECONDS = 2.0
DEFAULT_EXAMPLES = {"digits": 128}
OTHER_EXAMPLES = 1000


@dataclass(frozen=True)
class Evaluation:
    """A finished run, where its records are, and whether they were there before."""

    run: Run
    path: Path
    reused: bool


def default_examples(dataset: str) -> int:
    """How many test images are attacked unless told otherwise."""
    return DEFAULT_EXAMPLES.get(dataset, OTHER_EXAMPLES)


def evaluate(
    label: Label,
    obtained: Obtained,
    dataset: Dataset,
    protocol: Protocol,
    results: Path,
    device: torch.device,
    *,
    examples: int,
    batch_size: int,
    backend: str | None = None,
    exhaustive: bool = False,
    randomised: bool = False,
    fresh: bool = False,
) -> Evaluation:
    """Attack the model under the protocol and write its records under `results`.

    `backend` is `fast` or `reference`, by default the fast one where the algorithm has it;
    `exhaustive` runs its attacks with every saving off. For a network that is said to be
    `randomised`, attacks see means over several passes and verdicts are a vote (`verdicts`);
    unsaid, one that draws random numbers is refused.
    A finished run of exactly these settings and versions is read instead, unless `fresh`;
    one that was stopped half-way goes on where it was. Raises RbmixError for what a user
    can mend.
    """
    split = balanced(dataset.test, examples)
    model = obtained.model
    classes = classes_of(model, split, device)
    check_classes(classes, split)
    if randomised:
        protocol = protocols.randomised(protocol)
    schedule = schedule_of(protocol, classes, backend, exhaustive=exhaustive, randomised=randomised)
    header = header_of(
        label, obtained.header, weights_hash(model), dataset.name, split, protocol,
        batch_size=batch_size, backend=schedule.backend, device=device,
        randomised=DRAWS if randomised else 0,
    )  # fmt: skip
    task = _Task(obtained, dataset, split, protocol, header, path_of(header, results), device)
    with alone(task.path):
        run = None if fresh else _kept(task)
        if run is not None:
            return Evaluation(run, task.path, reused=True)
        run = _attacked(task, schedule, fresh)
        if aside := records.set_aside(task.path, results, run):
            say(f"what other versions or another device gave is kept as {aside}")
        records.write(run, task.path)
        task.partial.unlink(missing_ok=True)
    return Evaluation(run, task.path, reused=False)


@dataclass(frozen=True)
class _Task:
    """What is evaluated on what, and where its records and those of half a run belong."""

    obtained: Obtained
    dataset: Dataset
    split: Split
    protocol: Protocol
    header: dict[str, Any]
    path: Path
    device: torch.device

    @property
    def partial(self) -> Path:
        return self.path.with_suffix(PARTIAL)


def _kept(task: _Task) -> Run | None:
    """The finished run if it is on disk, with its diagnostics."""
    if not task.path.exists():
        return None
    run = finished(task.path, task.header)
    if run is None:
        say(f"{task.path} was made with other versions or on another device: attacking again")
        return None
    say(f"already evaluated, read {task.path} (--fresh attacks again)")
    if "diagnostics" not in run.header:
        run = _examined(run, task, None)
        records.write(run, task.path)
    task.partial.unlink(missing_ok=True)  # of a process that was killed just after writing
    return run


def _attacked(task: _Task, schedule: Schedule, fresh: bool) -> Run:
    """Attack every image, from where an unfinished run stopped unless `fresh`."""
    split, protocol, seed = task.split, task.protocol, task.header["seed"]
    measured = checkup.of_network(task.obtained.model, task.dataset, split, task.device)
    _check_said(measured, said := "randomised" in task.header)
    for name, words in flags.of_network(measured, randomised=said).items():
        say(f"flag {name}: {words} (docs/flags.md)")
    state = None if fresh else _resume(task, schedule.steps)
    if state is not None:
        say(f"going on with the unfinished run {task.partial}")
    saver = _Saver(task.partial, task.header)
    batch_size = task.header["batch_size"]
    try:
        state = schedule.attack(
            task.obtained.model, split, protocol,
            seed=seed, device=task.device, batch_size=batch_size,
            state=state, save=saver, description=f"{protocol.name} on {len(split)} images",
        )  # fmt: skip
    except KeyboardInterrupt:
        saver.flush()
        raise
    levels = len(protocol.eps)
    outcome: dict[str, Any] = {"passes": state.passes, "checked": _checked(state)}
    if audit := findings(state, split, schedule.rungs, seed, levels):
        outcome["audit"] = audit
    if state.batch_size < batch_size:
        outcome["smallest_batch"] = state.batch_size
    concludes = schedule.backend == "fast" and bool(schedule.rungs)
    run = Run(
        header={**task.header, **outcome},
        table=_table(split, state, levels, concludes),
        date=provenance.today(),
        time_seconds={
            "training": float(task.obtained.header.get("time_seconds", 0.0)),
            "attacking": state.attack_seconds,
        },
    )
    return _examined(run, task, measured)


def _check_said(measured: Measured, said: bool) -> None:
    """Raise RbmixError for a network that draws and was not said to; say so if it does not."""
    if said and not flags.draws(measured):
        say("said to be randomised, but deterministic: two passes of the same images agree")
    if flags.draws(measured) and not said:
        raise flags.unsaid(measured["unrepeatable"] or 0.0)


def _examined(run: Run, task: _Task, measured: Measured | None) -> Run:
    """The run with its diagnostics; `measured` is what was known before the attack."""
    model, split, device = task.obtained.model, task.split, task.device
    measured = measured or checkup.of_network(model, task.dataset, split, device)
    # Other attacks judge by one pass: of a network that draws, that says nothing about verdicts.
    alone = "randomised" in run.header and flags.draws(measured)
    found: dict[str, Any] = {
        **measured,
        **({} if alone else checkup.of_attacks(model, run, split, device, run.header["seed"])),
        "trained_accuracy": task.obtained.header.get("test_accuracy"),
    }
    return replace(run, header={**run.header, "diagnostics": found})


def _checked(state: State) -> dict[str, int]:
    """How many conclusions about smaller epsilons were attacked outright, and how many fell."""
    confirmed = [
        row
        for row, outcome in enumerate(state.checked)
        if outcome == "confirmed" and state.check[row] < state.failed[row]
    ]
    return {"confirmed": len(confirmed), "refuted": state.checked.count("refuted")}


class _Saver:
    """Writes the state of an unfinished run, but not more often than every few seconds."""

    def __init__(self, path: Path, header: dict[str, Any]) -> None:
        self.path = path
        self.header = header
        self.saved_at = time.monotonic()
        self.latest: dict[str, Any] | None = None

    def __call__(self, state: State) -> None:
        # A copy: what is written later must not hold half of the batch then running.
        self.latest = asdict(state)
        if time.monotonic() - self.saved_at >= SAVE_EVERY_SECONDS:
            self.flush()

    def flush(self) -> None:
        if self.latest is not None:
            content = {"header": self.header, "state": self.latest}
            write_text(self.path, json.dumps(content))
            self.saved_at = time.monotonic()


def _resume(task: _Task, steps: int) -> State | None:
    """The state of an unfinished run of the same settings, None if there is none."""
    path, header = task.partial, task.header
    if not path.exists():
        return None
    refusal, hint = f"unfinished run {path} is damaged", "; delete it"
    raw = reading.content(path, "unfinished run", reading.STATE)
    kept = reading.from_json(raw, refusal, hint)
    with reading.parsing(refusal, hint):
        if kept["header"] != header:
            say(f"{path} was made with other versions or on another device: starting over")
            return None
        sizes = (len(task.split), len(task.protocol.eps), steps, header["batch_size"])
        return restored(kept["state"], *sizes)


def _table(split: Split, state: State, levels: int, concludes: bool) -> pd.DataFrame:
    """The records, with what was found at one epsilon counted at every larger one."""
    nan = float("nan")
    grid = range(levels)
    return pd.DataFrame(
        {
            "image": split.index.tolist(),
            "label": split.labels.tolist(),
            "prediction": state.prediction,
            "margin": state.margin,
            "correct": state.correct,
            "broken": [[at >= level for at in grid] for level in state.level],
            "component": [
                [name if at >= level else "" for at in grid]
                for name, level in zip(state.component, state.level, strict=True)
            ],
            "norm": [
                [norm if at >= level else nan for at in grid]
                for norm, level in zip(state.norm, state.level, strict=True)
            ],
            "inferred": [
                [concludes and _is_inferred(state, row, at) for at in grid]
                for row in range(len(split))
            ],
            "forward": pd.array(state.forward, dtype="Int64"),
            "gradient": pd.array(state.gradient, dtype="Int64"),
        }
    )


def _is_inferred(state: State, row: int, at: int) -> bool:
    """Whether this image was not attacked at this position of the grid, only at a larger one."""
    tried = at == state.check[row] and state.checked[row] == "confirmed"
    return at < state.failed[row] and at < state.level[row] and not tried
