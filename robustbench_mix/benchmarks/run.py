"""`rbmix bench`: measure the parts of the table, and write it after each of them."""

from __future__ import annotations

import json
import logging
import os
import platform
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from robustbench_mix.benchmarks import curves, peers, processes, steps
from robustbench_mix.benchmarks.adversarial_training import accuracy_row, step_row
from robustbench_mix.benchmarks.audited import audited_row
from robustbench_mix.benchmarks.table import Part, Row, Table, from_json, to_json, to_markdown
from robustbench_mix.config import command_checks
from robustbench_mix.config.command_checks import BENCHMARKS
from robustbench_mix.config.model import ModelSpec
from robustbench_mix.config.training import ADVERSARIAL_ATTACKS, Training, adversarial_eps
from robustbench_mix.data import loaders
from robustbench_mix.data.dataset import Dataset, Split, balanced_subset
from robustbench_mix.evaluation.attack_plan import attack_plan
from robustbench_mix.evaluation.data_plan import DataPlan
from robustbench_mix.evaluation.evaluate import evaluate
from robustbench_mix.evaluation.load_model import train_model
from robustbench_mix.evaluation.model_plan import trained_model
from robustbench_mix.evaluation.plan import EvaluationPlan
from robustbench_mix.results.records import Run
from robustbench_mix.runtime import provenance
from robustbench_mix.runtime.devices import describe, pick_device
from robustbench_mix.storage import reading
from robustbench_mix.storage.files import check_writable, write_text

logger = logging.getLogger(__name__)

# Adversarial training costs eight times as much: fewer images, fewer epochs.
ADVERSARIAL_EXAMPLES, ADVERSARIAL_EPOCHS = 20_000, 10
# The comparison of adversarial trainings has twelve networks: fewer images still.
COMPARED_EXAMPLES, COMPARED_IMAGES, COMPARED_SEEDS = 12_500, 200, 3
AUDITED_IMAGES = 1000
QUICK = "resnet14_w4"
FILE = "benchmarks.json"
RECORDS = "benchmarks"  # the folder of the records that rows rest on


def run_benchmarks(
    *,
    dataset: str,
    examples: int,
    quick: bool,
    parts: list[str] | None,
    precision: str,
    device: str,
    results: Path,
) -> Table:
    """Measure the parts, and write `benchmarks.json` and `.md` under `results` after each.

    Earlier measurements stay until the same part is measured again.

    Args:
        dataset: Name of the data set.
        examples: Number of test images.
        quick: Use a small network and few digits, only to test that everything runs.
        parts: The parts to measure; None measures all.
        precision: Precision of the training.
        device: Name of the device.
        results: Folder of the tables.

    Returns:
        The table, with all parts measured so far.

    Raises:
        RbmixError: A part does not exist, or the file is damaged.
    """
    command_checks.benchmark(
        dataset=dataset, examples=examples, parts=parts, precision=precision, device=device
    )
    check_writable(results)
    table = _read_table(results)
    benchmark = _Bench(dataset, examples, quick, precision, device, results)
    for part in parts or BENCHMARKS:
        logger.info(f"measuring: {part}")
        rows, skipped = benchmark.part(part)
        table[part] = Part(_describe_machine(benchmark.where), rows, skipped)
        table = {name: table[name] for name in BENCHMARKS if name in table}
        write_text(results / FILE, json.dumps(to_json(table), indent=1) + "\n")
        write_text(results / "benchmarks.md", to_markdown(table))
    return table


def _read_table(results: Path) -> Table:
    """Read the earlier measurements."""
    path = results / FILE
    if not path.exists():
        return {}
    refusal, hint = f"{path} is damaged", "; delete it"
    raw = reading.read_bytes(path, "measurements", reading.MAX_COMPANION_BYTES)
    plain = reading.parse_json(raw, refusal, hint)
    with reading.refuse_on_error(refusal, hint):
        return from_json(plain)


class _Bench:
    """The settings of a run, shared by its parts."""

    def __init__(
        self,
        dataset: str,
        examples: int,
        quick: bool,
        precision: str,
        device: str,
        results: Path,
    ) -> None:
        self.dataset, self.examples, self.quick = (
            dataset,
            min(examples, 4) if quick else examples,
            quick,
        )
        self.precision, self.device, self.results = precision, device, results
        self.where = pick_device(device)
        self.model = QUICK if quick else "resnet14"
        self.repeats = 1 if quick else 2

    def part(self, name: str) -> tuple[list[Row], list[str]]:
        """Measure a part; return its rows, and the names of the peers that are not installed."""
        methods: dict[str, Callable[[], tuple[list[Row], list[str]]]] = {
            "steps": self._steps,
            "memory": self._memory,
            "command": self._command,
            "pgd": self._pgd,
            "autoattack": lambda: self._autoattack(as_written=False),
            "adversarial": self._adversarial,
            "two-step": lambda: self._autoattack(as_written=True),
            "training": self._training,
            "audited": self._audited,
        }
        return methods[name]()

    def _steps(self) -> tuple[list[Row], list[str]]:
        size, batch, repeats = (8, 8, 2) if self.quick else (32, 128, 25)
        missing: list[str] = []
        rows = steps.engine_rows(self.model, size, batch, self.where, repeats)
        rows += steps.training_rows(self.model, size, batch, self.where, repeats)
        if self.where.type == "cpu" and not self.quick:  # compiling takes half a minute
            forward = steps.forward_rows(self.model, size, self.where, repeats)
            rows, missing = rows + forward, [] if forward else ["a C++ compiler"]
        if not peers.is_usable("timm"):
            return rows, [*missing, "timm"]
        shape = (8, 2, 4, 8, 4) if self.quick else (128, 4, 8, 32, 32)
        return rows + steps.convmixer_rows(*shape, self.where, repeats), missing

    def _memory(self) -> tuple[list[Row], list[str]]:
        few, many = (20, 60) if self.quick else (500, 10_000)
        return [processes.memory_row(few, many)], []

    def _command(self) -> tuple[list[Row], list[str]]:
        return ([] if self.quick else [processes.command_row()]), []

    def _pgd(self) -> tuple[list[Row], list[str]]:
        rows: list[Row] = []
        missing: list[str] = []
        for spatial, model, split in self._pair(8 if self.quick else 128):
            words = f"{self.model} {spatial}"
            row, missing = curves.pgd_row(
                words, model, split, self._data.name, self.where, 1 if self.quick else 5
            )
            rows.append(row)
        return rows, missing

    def _autoattack(self, *, as_written: bool) -> tuple[list[Row], list[str]]:
        rows: list[Row] = []
        # The two-step network takes about seven times as long: half of the images, once.
        count = self.examples // 2 if as_written else self.examples
        for spatial, model, split in self._pair(max(count, 1)):
            rows += curves.autoattack_rows(
                f"{self.model} {spatial}", model, split, self._data.name, self.where,
                as_written=as_written, targets=("≥ 15x" if as_written else "≥ 3x", "≤ 1/2"),
                repeats=1 if as_written else self.repeats,
            )  # fmt: skip
        return rows, []

    def _adversarial(self) -> tuple[list[Row], list[str]]:
        training = self._shorter(ADVERSARIAL_EXAMPLES, adversarial=True)
        model, split = self._network("learned", self.examples, training)
        words = f"{self.model} trained adversarially"
        rows = curves.autoattack_rows(
            words, model, split, self._data.name, self.where, as_written=False,
            targets=("≥ 4.5x", "≤ 1/4"), repeats=self.repeats,
        )  # fmt: skip
        return rows, []

    def _training(self) -> tuple[list[Row], list[str]]:
        size, batch, repeats = (8, 8, 2) if self.quick else (32, 128, 5)
        rows = [step_row(self.model, size, batch, self.where, repeats)]
        eps = adversarial_eps(self._data.name)
        for attack in ADVERSARIAL_ATTACKS:
            averaged = self._compared(attack, None)
            last = self._compared(attack, 0)  # left by the trainings of the averages
            words = f"{self.model} trained on {attack} examples"
            rows.append(accuracy_row(words, averaged, last, eps))
        return rows, []

    def _compared(self, attack: str, averaging: float | None) -> list[Run]:
        """Return the runs of adversarially trained networks, one for each seed."""
        training = self._short(adversarial=True, adversarial_attack=attack, averaging=averaging)
        count = 4 if self.quick else COMPARED_IMAGES
        seeds = range(1 if self.quick else COMPARED_SEEDS)
        return [self._run("learned", "autoattack", count, training, seed) for seed in seeds]

    def _audited(self) -> tuple[list[Row], list[str]]:
        count = 20 if self.quick else AUDITED_IMAGES
        # The learned network that is trained adversarially is one of those compared above.
        trainings = {
            "": self._short(),
            " trained adversarially": self._short(adversarial=True, adversarial_attack="n-fgsm"),
        }
        rows: list[Row] = []
        for suffix, training in trainings.items():
            for spatial in ("learned",) if self.quick else ("learned", "frozen"):
                estimate, full = (
                    self._run(spatial, attack, count, training)
                    for attack in ("autoattack-audited", "autoattack")
                )
                rows.append(audited_row(f"{self.model} {spatial}{suffix}", full, estimate))
        return rows, []

    def _run(self, spatial: str, attack: str, count: int, training: Training, seed: int = 0) -> Run:
        """Attack a network as `rbmix evaluate` does, or read the records of that.

        These runs take hours. Their records stay beside the table, so that what was stopped goes
        on, and what was measured need not be measured again.
        """
        plan = EvaluationPlan(
            data=DataPlan(self.dataset, min(count, len(self._data.test))),
            device=self.device,
            model=trained_model(ModelSpec(self.model, spatial, seed=seed), training),
            attack=attack_plan(attack, self._data.name),
        )
        return evaluate(plan, self.results / RECORDS).run

    def _pair(self, count: int) -> Iterator[tuple[str, nn.Module, Split]]:
        for spatial in ("learned",) if self.quick else ("learned", "frozen"):
            yield (spatial, *self._network(spatial, count))

    def _short(self, **changes: Any) -> Training:
        """Return the training of the networks whose records are kept."""
        return self._shorter(COMPARED_EXAMPLES, **changes)

    def _shorter(self, most: int, **changes: Any) -> Training:
        """Return a training on at most so many images, for fewer epochs."""
        few = None if len(self._data.train) <= most else most
        return Training(ADVERSARIAL_EPOCHS, few, precision=self.precision, **changes)

    def _network(
        self, spatial: str, count: int, training: Training | None = None
    ) -> tuple[nn.Module, Split]:
        """Load or train a network, and return it with test images."""
        loaded = self._data
        training = training or Training(precision=self.precision)
        model = trained_model(ModelSpec(self.model, spatial), training)
        trained = train_model(model, loaded, self.where)
        return trained.model, balanced_subset(loaded.test, min(count, len(loaded.test)))

    @cached_property
    def _data(self) -> Dataset:
        return loaders.load(self.dataset)


def _describe_machine(device: torch.device) -> str:
    versions = provenance.versions()
    named = ", ".join(
        f"{name} {version}" for name, version in versions.items() if name != "robustbench-mix"
    )
    others = [
        f"{n} {v}" for n in (*peers.PGD, "timm") if (v := peers.installed_version(n)) is not None
    ]
    extra = [one for one in others if one.split()[0] not in versions]
    cpu = _processor()
    return f"{describe(device)}, {cpu}; {', '.join([named, *extra])}"


def _processor() -> str:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return f"{line.partition(':')[2].strip()}, {os.cpu_count()} cores"
    except OSError:
        pass
    return f"{platform.machine()}, {os.cpu_count()} cores"
