"""The untrusted inputs of rbmix: how each is made from choices, and what reads it.

A target makes files in a folder, from a valid example with a few changes, and reads them as
the program does, up to where training or an attack would begin. What has once broke it is
kept as files in `corpus/TARGET/CASE`.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import ExitStack, chdir, contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import torch
import typer
from fuzz_choices import Choices, mangled, mutated
from fuzz_oracle import check, check_command
from PIL import Image
from pyarrow import parquet
from safetensors.torch import save
from torch import nn

from robustbench_mix import cli
from robustbench_mix.benchmarks import run as bench_run
from robustbench_mix.claims import html_report, page, verdicts
from robustbench_mix.claims.analysis import analyse
from robustbench_mix.claims.explanations import overview
from robustbench_mix.claims.report import pictures, run_images, tables
from robustbench_mix.config import protocols, zoo
from robustbench_mix.config.canonical import as_json, short_hash
from robustbench_mix.config.training import recipe_for
from robustbench_mix.data import class_index, image_folder, loaders
from robustbench_mix.data.dataset import Dataset, Split, balanced_subset
from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation import (
    evaluate,
    load_model,
    outcome,
    regression_gate,
    resume,
    unshuffling_run,
)
from robustbench_mix.evaluation.attack_plan import attack_plan
from robustbench_mix.evaluation.plan import EvaluationPlan
from robustbench_mix.evaluation.schedules import schedule_of
from robustbench_mix.evaluation.state import State
from robustbench_mix.models import checkpoint, state_dict
from robustbench_mix.results import (
    curves,
    gallery,
    leaderboard,
    plots,
    probes,
    records,
    unshuffling,
)
from robustbench_mix.results.headers import ProbeIdentity, RunHeader, RunIdentity
from robustbench_mix.results.records import Run
from robustbench_mix.results.regression import baselines
from robustbench_mix.runtime.provenance import PACKAGES
from robustbench_mix.storage import files, validation
from robustbench_mix.sweeps import definition
from robustbench_mix.sweeps import plan as planning
from robustbench_mix.sweeps import run as sweeping
from robustbench_mix.sweeps.cell_plans import plan_sweep
from robustbench_mix.training.resume import ResumeState

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Target:
    """`make` writes an input into a folder, `read` does with it what the program does."""

    make: Callable[[Choices, Path], None]
    read: Callable[[Path], str]


def run(name: str, raw: bytes, folder: Path) -> str:
    """One input from bytes, under the oracle: `done` or `refused`, or an AssertionError."""
    TARGETS[name].make(Choices(raw), folder)
    return TARGETS[name].read(folder)


# Specifications

PROTOCOL = {
    "summary": "mine", "algorithm": "pgd", "norm": "linf",
    "eps": {"default": ["1/255", "2/255"], "digits": ["1/16"]},
    "options": {"steps": 3, "restarts": 2, "step_size": 0.1},
}  # fmt: skip
OPTIONS = (
    {"steps": 3, "restarts": 2, "step_size": 0.1},
    {"components": ["apgd-ce", "square"], "steps": 5, "targets": 3, "queries": 9},
    {"bound": 0.1},
    {"draws": 2},
    {},
)
SWEEP = {
    "summary": "mine",
    "grid": [{
        "models": ["resnet14_w4"], "spatial": ["learned", "frozen"], "channel": ["learned"],
        "seeds": [0, 1], "datasets": ["digits"], "attacks": ["fgsm", "./mine.toml"],
        "examples": 10, "epochs": 1, "train_examples": 60, "adversarial": False, "explain": True,
    }],
    "unshuffle": [{"depth": [1], "width": [4], "kernel": [3], "seeds": [0]}],
}  # fmt: skip


def to_toml(value: Any) -> str:
    """The value as TOML, as far as it has a form there; tables in line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {to_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(to_toml, value)) + "]"
    if isinstance(value, float):
        return str(value) if math.isfinite(value) else repr(value)
    return json.dumps(value)


def _write_toml(path: Path, table: Any, choices: Choices) -> None:
    items = table.items() if isinstance(table, dict) else [("a", table)]
    text = "\n".join(f"{json.dumps(name)} = {to_toml(value)}" for name, value in items)
    raw = text.encode("utf-8", "surrogatepass")
    path.write_bytes(mangled(raw, choices) if choices.one_in(4) else raw)


def make_protocol(choices: Choices, folder: Path) -> None:
    table = {**PROTOCOL, "options": choices.of(OPTIONS)}
    if choices.below(2):
        table["algorithm"] = choices.of(("autoattack", "autoattack-audited", "fgsm", "noise"))
    _write_toml(folder / "mine.toml", mutated(table, choices), choices)
    with_options = mutated({"eps": None, "norm": None, "dataset": "digits", "classes": 10}, choices)
    (folder / "asked.json").write_text(json.dumps(with_options))


def read_protocol(folder: Path) -> str:
    asked = json.loads((folder / "asked.json").read_text())
    asked = asked if isinstance(asked, dict) else {}

    def call() -> None:
        texts = {name: asked.get(name) for name in ("norm", "dataset")}
        norm, dataset = (v if isinstance(v, str) else None for v in texts.values())
        eps = asked.get("eps")
        eps = [str(one) for one in eps] if isinstance(eps, list) else None
        protocol = protocols.load(str(folder / "mine.toml"), dataset or "", eps=eps, norm=norm)
        assert len(protocol.hash) == 12
        for backend, exhaustive in ((None, False), ("reference", False), ("fast", True)):
            schedule_of(attack_plan(protocol, backend=backend, exhaustive=exhaustive), 10)

    return check(call, folder)


def make_sweep(choices: Choices, folder: Path) -> None:
    (folder / "mine.toml").write_text(
        'summary = "s"\nalgorithm = "pgd"\nnorm = "linf"\n[eps]\ndefault = ["1/255"]\n'
    )
    _write_toml(folder / "sweep.toml", mutated(SWEEP, choices), choices)


def read_sweep(folder: Path) -> str:
    def call() -> None:
        sweep = definition.load(str(folder / "sweep.toml"), {})
        plan_sweep(replace(sweep, cells=sweep.cells[:20], unshuffling_cells=[]))
        setting = planning.SweepSetting(str(folder / "results"), CPU)
        few = replace(sweep, cells=sweep.cells[:4], unshuffling_cells=sweep.unshuffling_cells[:4])
        planning.summarize_by_network(planning.plan_tasks(plan_sweep(few), setting))

    with boundary():
        return check(call, folder)


# The command line

WORDS: dict[str, tuple[str, ...]] = {
    "--model": ("resnet14_w4", "resnet18", "convmixer8_2_k3_p1", "resnet14_d999_w999", "resnet9999",
                "nowhere:make", ":", ".a:b", "convmixer9999_999_k999"),
    "--spatial": ("learned", "frozen", "smoothed:3", "smoothed:99:rescaled"),
    "--channel": ("learned", "frozen"),
    "--attack": ("fgsm", "pgd", "./mine.toml", "./nowhere.toml", "/dev/zero", "./."),
    "--dataset": ("digits", "cifar10", "./nowhere", ".", "/", "~nobody/x", "x" * 300),
    "--examples": ("10", "0", "1e3", "9" * 5000),
    "--eps": ("1/255,2/255", "0.1", ",", "1/255," * 2000, "8"),
    "--norm": ("linf", "l2"),
    "--backend": ("fast", "reference"),
    "--seed": ("0", "4294967295", "4294967296"),
    "--batch-size": ("8", "-1", "999999999999"),
    "--weights": ("w.pt", "/dev/null", "."),
    "--out": ("results", "file", "/dev/null", "/proc/x", "x" * 300),
    "--epochs": ("1", "1000000000000000000", "-1"),
    "--train-examples": ("60", "0", "-5"),
    "--lr": ("0.1", "nan", "inf", "-1", "1e400"),
    "--precision": ("fp32", "bf16", "auto", "fp8"),
    "--adversarial-eps": ("8/255", "2"),
    "--adversarial-attack": ("pgd", "n-fgsm", "fgsm"),
    "--averaging": ("0.9995", "0", "1", "nan"),
    "--label-smoothing": ("0.1", "-1", "inf"),
    "--device": ("cpu", "auto", "cuda:99999999999999999999", "cpu:x", "cpu:7", "mps:9"),
    "--width": ("8", "8,16", "99999999999", "0"),
    "--depth": ("1", "1,2", "x"),
    "--kernel": ("3", "3,5", "1000"),
    "--patch": ("1", "0", "1000"),
    "--seeds": ("0,1", "x", "-1"),
    "--models": ("resnet14_w4", "os:system"),
    "--attacks": ("fgsm", "./mine.toml,fgsm"),
    "--parts": ("steps", "x"),
}  # fmt: skip
FLAGS = ("--exhaustive", "--adversarial", "--fresh", "--json", "--plan", "--check", "--quick",
         "--help", "--version")  # fmt: skip
TRAINING = "--dataset --epochs --train-examples --lr --precision --device --json"
NETWORK_OPTIONS = (
    f"--model --spatial --channel --seed --adversarial --adversarial-eps "
    f"--adversarial-attack --averaging --label-smoothing {TRAINING}"
)
COMMANDS = {
    "evaluate": f"--attack --examples --eps --norm --backend --batch-size --weights --out "
    f"--exhaustive --fresh {NETWORK_OPTIONS}",
    "train": NETWORK_OPTIONS,
    "explain": f"--examples --eps --out {NETWORK_OPTIONS}",
    "unshuffle": f"--width --depth --kernel --patch --spatial --seed --examples --out {TRAINING}",
    "sweep": f"--models --seeds --attacks --examples --plan --out {TRAINING}",
    "leaderboard": "--check",
    "claims": "--check --json",
    "report": "",
    "attacks": "--json",
    "bench": "--dataset --examples --parts --quick --out",
}


def make_arguments(choices: Choices, folder: Path) -> None:
    command = choices.of(list(COMMANDS))
    arguments = [command]
    if command in ("sweep", "leaderboard", "claims", "report") and choices.below(8):
        arguments.append(choices.of(("quick", "./mine.toml", "results", "nowhere", choices.text())))
    for _ in range(choices.below(6)):
        own = COMMANDS[command].split()
        option = choices.of(own) if own and choices.below(12) else choices.of([*WORDS, *FLAGS])
        arguments.append(option)
        if option in WORDS and choices.below(20):
            word = choices.of(WORDS[option]) if choices.below(3) else choices.text()
            arguments.append(word.replace(":", "") if option in ("--model", "--models")
                             and word not in WORDS[option] else word)  # fmt: skip
    if choices.one_in(10):
        arguments.insert(choices.below(len(arguments) + 1), choices.text())
    (folder / "arguments.json").write_text(json.dumps(arguments))


def read_arguments(folder: Path) -> str:
    arguments = json.loads((folder / "arguments.json").read_text())
    work = folder / "work"
    work.mkdir(exist_ok=True)
    (work / "file").write_text("in the way")
    (work / "mine.toml").write_text(
        'summary = "s"\nalgorithm = "pgd"\nnorm = "linf"\n[eps]\ndefault = ["1/255"]\n'
    )
    with boundary(), in_folder(work):
        return check_command(arguments, work)


@contextmanager
def in_folder(folder: Path) -> Iterator[None]:
    """The working folder and the cache within the block."""
    with chdir(folder), mock.patch.dict(os.environ, RBMIX_HOME=str(folder / "home")):
        yield


@contextmanager
def boundary() -> Iterator[None]:
    """Training, attacks, timing and downloads answer at once; everything before them is real."""
    from robustbench_mix.sweeps.cost_model import CostModel

    _digits()  # once, and before anybody measures the time
    with ExitStack() as stack:
        for owner, name, stub in (
            (load_model, "load_or_train", _refuse), (evaluate, "make_run", _refuse),
            (unshuffling_run, "_unshuffle_with", _refuse),
            (sweeping, "_run_task", _refuse), (loaders, "_load_cifar", _refuse),
            (loaders, "_load_digits", _digits),
            (bench_run._Bench, "part", _refuse), (cli, "app", _commands()),
            (CostModel, "_time_training_step", lambda *_: 1.0),
            (CostModel, "_time_attack_passes", lambda *_: (1.0, 1.0)),
        ):  # fmt: skip
            stack.enter_context(mock.patch.object(owner, name, stub))
        yield


WORK = "here the work would begin"


def _refuse(*_: object, **__: object) -> Any:
    raise RbmixError(WORK)


@cache
def _commands() -> Any:
    """The commands, put together once rather than for every call."""
    return typer.main.get_command(cli.app)


_real_digits = loaders._load_digits


@cache
def _digits() -> Any:
    return _real_digits()


# Records

GRID = ["1/255", "2/255"]
NETWORK = {
    "model": "resnet14", "spatial": "frozen", "channel": "learned", "seed": 0, "dataset": "digits",
    "data_hash": "d", "n": 4, "train_examples": 100, "epochs": 3, "adversarial": "", "eps": GRID,
    "device": "cpu", "commit": "abc", "versions": dict.fromkeys(PACKAGES, "1.0"),
}  # fmt: skip
DIAGNOSTICS = {
    "images": 4, "classes": 10, "unrepeatable": 0.0, "batch": 0.0, "changed": 0.0, "training": 0.0,
    "probabilities": 0.0, "not_finite": 0.0, "accuracy": 0.75, "rescaled": 0.5,
    "zero_gradient": 0.0, "slope": 0.9, "trained_accuracy": 0.7, "attacked": 3, "fgsm": 1, "pgd": 1,
    "fgsm_only": 0, "blind": 0, "half": 0, "stood": 1, "gained": 0, "eps": 0,
}  # fmt: skip
RUN = {
    **NETWORK, "protocol": "pgd", "norm": "linf", "protocol_hash": "p", "checkpoint_hash": "c",
    "batch_size": 8, "backend": "fast", "protocol_spec": {"algorithm": "pgd"},
    "passes": {"pgd-0": {"forward": 20, "gradient": 16}}, "checked": {"confirmed": 1, "refuted": 0},
    "audit": [{"sampled": 2, "broken": 1, "bound": 0.1}] * 2, "diagnostics": DIAGNOSTICS,
}  # fmt: skip
NAN = float("nan")
RUN_COLUMNS: dict[str, list[Any]] = {
    "image": [0, 10, 20, 30], "label": [0, 1, 2, 3], "prediction": [0, 1, 2, 0],
    "margin": [0.5, 0.25, 1.0, -0.5], "correct": [True, True, True, False],
    "broken": [[True, True], [False, True], [False, False], [False, False]],
    "component": [["pgd-0", "pgd-0"], ["", "pgd-0"], ["", ""], ["", ""]],
    "norm": [[0.001, 0.001], [NAN, 0.005], [NAN, NAN], [NAN, NAN]],
    "inferred": [[False, False]] * 4, "forward": [5, 5, 5, 5], "gradient": [4, None, 4, 4],
}  # fmt: skip
BESIDE = {"date": "2026-01-31", "time_seconds": {"training": 1.0, "attacking": 2.0}}
SPECTRUM = [0.125] * 8
PROBE = {
    **NETWORK, "kind": "probe", "filters": SPECTRUM, "composed": SPECTRUM, "perturbation": SPECTRUM,
    "heat_map": [[0.5] * 3] * 4, "heat_map_n": 4, "wave_norm": 0.5,
}  # fmt: skip
PROBE_COLUMNS: dict[str, list[Any]] = {
    "image": [0, 10, 20, 30], "correct": [True, True, True, False],
    "margin": [0.5, 0.25, 1.0, -0.5], "grad_l1": [1.0] * 4, "grad_l2": [0.5] * 4,
    "distance": [0.001, 0.002, math.inf, 0.0], "real": [[0.4, 0.3]] * 4,
    "predicted": [[0.3, 0.2]] * 4,
}  # fmt: skip
PICTURE = np.full((1, 2, 2), 0.5, np.float32).tobytes()
TRANSFER = {**NETWORK, "kind": "transfer", "classes": ["a", "b"], "shape": [1, 2, 2]}
TRANSFER_COLUMNS: dict[str, list[Any]] = {
    "image": [0, 10, 20, 30], "first": [True, True, True, False], "second": [True] * 4,
    **{name: [[False, True]] * 4 for name, kind in probes.TRANSFER_COLUMNS.items()
       if kind == "[bool]"},
    **{name: [PICTURE if name in probes.PIXELS else 1, None, None, None]
       for name in probes.PICTURES},
}  # fmt: skip
DECODING = {
    **NETWORK, "model": "convmixer4_1_k3_p1", "width": 4, "depth": 1, "kernel": 3, "patch": 1,
    "image": [1, 2, 2], "levels": 255, "reach": 1, "recipe": {"epochs": 3},
}  # fmt: skip
DECODING_COLUMNS: dict[str, list[Any]] = {
    "image": [0, 10, 20, 30], "mse": [0.1, 0.2, 0.05, 0.3],
    **{name: [bytes(4)] * 4 for name in unshuffling.PICTURES},
}  # fmt: skip


def _write_records(
    path: Path, header: Any, columns: dict[str, list[Any]], choices: Choices | None = None
) -> None:
    """The records, with changes to the header, the columns or the bytes if there are choices."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = choices.below(4) if choices else 9
    if choices and part == 0:
        header = mutated(header, choices)
    if choices and part == 1:
        changed = mutated(columns, choices)
        columns = changed if isinstance(changed, dict) else {"image": [changed]}
    arrays: dict[str, Any] = {}
    for name, values in columns.items():
        try:
            arrays[name] = pa.array(values if isinstance(values, list) else [values])
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            arrays[name] = pa.array([json.dumps(values, default=str)])
    longest = max(map(len, arrays.values()), default=0)
    arrays = {name: values for name, values in arrays.items() if len(values) == longest}
    text = json.dumps(header)
    if choices and part == 2 and choices.below(2):
        text = mangled(text.encode(), choices).decode("latin-1")
    names = [name.encode("utf-8", "replace").decode() for name in arrays]
    table = pa.table(list(arrays.values()), names=names)
    buffer = io.BytesIO()
    compression = choices.of(("snappy", "none", "gzip", "zstd")) if choices else "snappy"
    parquet.write_table(
        table.replace_schema_metadata({b"rbmix": text.encode()}), buffer, compression=compression
    )
    raw = buffer.getvalue()
    path.write_bytes(mangled(raw, choices) if choices and part == 3 else raw)
    beside: Any = BESIDE
    if choices and choices.one_in(8):
        beside = mutated(BESIDE, choices)
    path.with_suffix(".json").write_text(json.dumps(beside))


def make_records(choices: Choices, folder: Path) -> None:
    runs = folder / "runs" / "digits"
    _write_records(runs / "a.parquet", {**RUN, "spatial": "learned"}, RUN_COLUMNS)
    _write_records(runs / "b.parquet", RUN, RUN_COLUMNS, choices)


def read_records(folder: Path) -> str:
    def call() -> None:
        runs = records.read_all(folder)
        leaderboard._content(folder)
        page.content(folder, analyse(folder, runs, []))
        for group in curves.groups(runs).values():
            curves.curves(group)
            curves.differences(group)
            html_report._figure(group)
        run_images.as_json(runs, [])
        tables.runs_tables(runs, [])
        for one in runs:
            path = records.run_path(folder, one.header, "key")
            assert path.resolve().parent.parent == (folder / "runs").resolve()

    return check(call, folder)


def probe_path(folder: Path, header: dict[str, Any]) -> Path:
    """Where the records with this header belong."""
    return probes.path_for(folder, msgspec.convert(header, ProbeIdentity), "key")


def make_probes(choices: Choices, folder: Path) -> None:
    kept = folder / "probes" / "digits"
    kind = choices.below(2)
    learned = {**PROBE, "spatial": "learned"}
    _write_records(kept / "probe-a.parquet", learned, PROBE_COLUMNS)
    _write_records(kept / "probe-b.parquet", PROBE, PROBE_COLUMNS, None if kind else choices)
    _write_records(
        kept / "transfer-a.parquet", TRANSFER, TRANSFER_COLUMNS, choices if kind else None
    )
    _write_records(kept / "transfer-b.parquet", {**TRANSFER, "seed": 1}, TRANSFER_COLUMNS)


def read_probes(folder: Path) -> str:
    def call() -> None:
        probed, transferred = probes.read_probes(folder), probes.read_transfers(folder)
        for one in overview.all_explanations([], probed, transferred):
            assert all(len(row) == len(one.columns) for row in one.rows)
        pictures.groups(transferred)
        for probe in (*probed, *transferred):
            path = probes.path_for(folder, probe.header, "key")
            assert path.resolve().parent.parent == (folder / "probes").resolve()

    return check(call, folder)


def make_decodings(choices: Choices, folder: Path) -> None:
    kept = folder / "unshuffle" / "digits"
    _write_records(kept / "a.parquet", {**DECODING, "spatial": "learned"}, DECODING_COLUMNS)
    _write_records(kept / "b.parquet", DECODING, DECODING_COLUMNS, choices)


def read_decodings(folder: Path) -> str:
    def call() -> None:
        found = unshuffling.read_all(folder)
        gallery.to_markdown(found)
        gallery.rows(sorted((folder / "unshuffle").glob("*/*.parquet")))
        for group in gallery.twin_groups(found):
            path = gallery.picture_path(group, folder)
            files.write_bytes(path, gallery.to_png(group))
            assert path.resolve().parent.parent == (folder / "unshuffle").resolve()
        verdicts.all_claims([], found)

    with mock.patch.object(gallery, "exclusive_lock", lambda _: SimpleContext()):
        return check(call, folder)


class SimpleContext:
    """Nothing around a block."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


# What others report, and what a gate was told

ENTRY = {
    "link": "https://example.org/paper", "name": "A Paper", "authors": "Ada First, Bea Last",
    "additional_data": True, "number_forward_passes": 1, "dataset": "digits", "venue": "V 2025",
    "architecture": "WideResNet-28-10", "eps": "2/255", "clean_acc": "86.46", "reported": "",
    "autoattack_acc": "56.03", "external": 55.1, "footnote": "It uses additional images.",
    "unreliable": False, "rbmix": {"norm": "linf", "clean": {"correct": 3, "n": 4}},
}  # fmt: skip
FULL = {"protocol": "autoattack", "audit": None,
        "protocol_spec": {"algorithm": "autoattack", "options": {}}}  # fmt: skip


def make_model_info(choices: Choices, folder: Path) -> None:
    _write_records(folder / "results" / "runs" / "digits" / "a.parquet", RUN | FULL, RUN_COLUMNS)
    for at in range(1 + choices.below(2)):
        place = folder / "model_info" / choices.of(("Linf", "Linf", "L2", "x"))
        place.mkdir(parents=True, exist_ok=True)
        raw = json.dumps(mutated(ENTRY, choices)).encode()
        raw = mangled(raw, choices) if choices.one_in(4) else raw
        odd = choices.of(("\x1b[31m", "a|b", "=1+1", "x" * 250, " ", "\u202e"))
        stem = odd if choices.one_in(12) else f"Entry{at}"
        (place / f"{stem}.json").write_bytes(raw)


def read_model_info(folder: Path) -> str:
    results, kept = folder / "results", sorted((folder / "model_info").rglob("*.json"))
    beside = kept[0] if len(kept) == 1 else folder / "model_info"
    with mock.patch.object(plots, "write", lambda _: []), boundary():
        outcome = check_command(["leaderboard", str(results), "--beside", str(beside)], folder)
    if outcome == "refused":
        assert [path.name for path in results.iterdir()] == ["runs"], "written, though refused"
        return outcome
    frame = pd.read_csv(results / "beside.csv")
    ours = frame.source == "measured here"
    assert 1 <= ours.sum() <= 2, "a row of ours that is none"
    assert 1 <= (~ours).sum() <= len(kept)
    rows = (results / "beside.md").read_text().split("\n")
    told = [row for row in rows if row.startswith(("| measured here", "| reported elsewhere"))]
    assert len(told) == len(frame), "the table has other rows than the CSV"
    return outcome


@cache
def _some_digits() -> Split:
    return balanced_subset(_digits().test, 4)


def _gated(eps: list[str]) -> Run:
    """The run of four digits on this grid, as an evaluation would give it."""
    split, width = _some_digits(), len(eps)
    columns = RUN_COLUMNS | {
        "image": split.index.tolist(), "label": split.labels.tolist(),
        "prediction": [*split.labels.tolist()[:3], 9],
        **{name: [[value] * width for value in values] for name, values in (
            ("broken", [True, False, False, False]), ("component", ["pgd-0", "", "", ""]),
            ("norm", [0.001, NAN, NAN, NAN]), ("inferred", [False] * 4),
        )},
    }  # fmt: skip
    spec = {"algorithm": "pgd", "options": {"steps": 40}}
    header = {**RUN, "model": "resnet14_w4", "data_hash": split.hash, "eps": eps, "audit": None,
              "protocol_spec": spec}  # fmt: skip
    typed = validation.decode(header, RunHeader, "a run made by hand is wrong")
    return Run(typed, pd.DataFrame(columns), "2026-01-31")


@cache
def _baseline() -> dict[str, Any]:
    """The parts of a valid one: titles, the cells of each image, and what all rows repeat."""
    around = _gated(baselines.nearby_grid(GRID, "linf"))
    kept = baselines.of_run(_gated(GRID), around, dataset="digits", attack="pgd", weights="")
    written = io.StringIO()
    with mock.patch.object(baselines, "write_text", lambda _, text: written.write(text)):
        baselines.write(kept, Path())
    title, *rows = csv.reader(io.StringIO(written.getvalue()))
    width = len(baselines.IMAGE) + len(GRID)
    return {"title": title[:width], "rows": [row[:width] for row in rows], "same": kept.identity}


def make_baseline(choices: Choices, folder: Path) -> None:
    parts = mutated(_baseline(), choices)
    parts = parts if isinstance(parts, dict) else {}
    title, rows, same = (parts.get(name) for name in ("title", "rows", "same"))
    same = same if isinstance(same, dict) else {}
    if same.get("model") not in WORDS["--model"]:  # this one names code, which would run
        same["model"] = str(same.get("model")).replace(":", "")
    every = [title, *(rows if isinstance(rows, list) else [])]
    cells = [list(map(str, row if isinstance(row, list) else [row])) for row in every]
    cells = [[*row, *map(str, same.values() if at else same)] for at, row in enumerate(cells)]
    checksum = short_hash(cells) if not choices.one_in(8) else "0" * 12
    buffer = io.StringIO()
    ends = ["checksum", *[checksum] * (len(cells) - 1)]
    csv.writer(buffer, lineterminator="\n").writerows(
        [[*row, end] for row, end in zip(cells, ends, strict=True)]
    )
    raw = buffer.getvalue().encode("utf-8", "surrogatepass")
    (folder / "kept.csv").write_bytes(mangled(raw, choices) if choices.one_in(4) else raw)


_really_evaluated = regression_gate._evaluate_afresh


def _evaluated_at_once(plan: EvaluationPlan) -> Run:
    """All the words are looked at as ever; instead of the work there is a run at once."""
    try:
        _really_evaluated(plan)
    except RbmixError as error:
        if str(error) != WORK:
            raise
    return _gated([eps.text for eps in plan.attack.protocol.eps])


def read_baseline(folder: Path) -> str:
    told, page = folder / "told.xml", folder / "page.md"
    runner = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(page)}
    with (
        boundary(), in_folder(folder), mock.patch.dict(os.environ, runner),
        mock.patch.object(regression_gate, "_evaluate_afresh", _evaluated_at_once),
    ):  # fmt: skip
        outcome = check_command(["check", "--baseline", "kept.csv", "--junit", str(told)], folder)
    assert (outcome == "done") == told.exists() == page.exists(), "written, though refused"
    if outcome == "done":
        assert len(ET.parse(told).getroot()) == 1
        assert page.read_text().replace("\n", "").isprintable()
    return outcome


MEASURED = {
    "where": "cpu (threads: 1)", "skipped": ["timm"],
    "rows": [{"work": "`rbmix evaluate`", "against": "foolbox", "target": "2x",
              "values": [1.5, 2.0], "note": "", "unit": "x"}],
}  # fmt: skip


def make_measurements(choices: Choices, folder: Path) -> None:
    raw = json.dumps(mutated({"pgd": MEASURED, "steps": MEASURED}, choices)).encode()
    (folder / "benchmarks.json").write_bytes(mangled(raw, choices) if choices.one_in(4) else raw)


def read_measurements(folder: Path) -> str:
    nothing = mock.patch.object(bench_run._Bench, "part", lambda *_: ([], []))
    before = (folder / "benchmarks.json").read_bytes()
    with boundary(), nothing:
        outcome = check_command(["bench", "--parts", "pgd", "--out", str(folder)], folder)
    if outcome == "refused":
        assert [path.name for path in folder.iterdir()] == ["benchmarks.json"]
        assert (folder / "benchmarks.json").read_bytes() == before
        return outcome
    page = (folder / "benchmarks.md").read_text().split("\n")
    assert all(row.count("|") == 6 for row in page if row.startswith("|")), "a cell too many"
    return outcome


# Checkpoints and what is left of stopped work


def net() -> nn.Module:
    """A network with parameters and buffers."""
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))


HEADER = {
    "weights_hash": "", "spec": {"model": "resnet14", "spatial": "frozen"}, "dataset": "digits",
    "recipe": as_json(recipe_for("resnet", "digits")), "train_examples": 10, "test_accuracy": 0.5,
    "time_seconds": 1.0,
}  # fmt: skip


def _tensors() -> dict[str, torch.Tensor]:
    return {name: torch.zeros_like(t) for name, t in net().state_dict().items()}


STRANGE: tuple[Callable[[], Any], ...] = (
    lambda: torch.zeros(3, dtype=torch.complex64),
    lambda: torch.zeros(3, dtype=torch.int8),
    lambda: torch.zeros(3).to_sparse(),
    lambda: torch.zeros(3, 2).to_sparse_csr(),
    lambda: torch.quantize_per_tensor(torch.zeros(3), 1.0, 0, torch.qint8),
    lambda: torch.zeros(3, device="meta"),
    lambda: torch.full((3,), float("nan")),
    lambda: torch.zeros(0),
    lambda: torch.zeros(1).expand(10**9),
    lambda: nn.Parameter(torch.zeros(3)),
    lambda: torch.zeros(3, dtype=torch.bfloat16),
    lambda: torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)]),
)


def _strange(state: dict[str, Any], choices: Choices) -> dict[Any, Any]:
    """The state with some tensors replaced, left out or added, or its names changed."""
    import warnings

    changed: dict[Any, Any] = dict(state)
    for _ in range(choices.below(3)):
        name = choices.of(sorted(changed, key=str))
        kind = choices.below(4)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if kind == 0:
                changed[name] = choices.of(STRANGE)()
            elif kind == 1 and len(changed) > 1:
                del changed[name]
            elif kind == 2:
                changed[choices.of((1, None, True, choices.text(), ("a",)))] = changed[name]
            else:
                changed[name] = choices.value()
    return changed


def make_checkpoint(choices: Choices, folder: Path) -> None:
    if choices.below(2):
        header = json.dumps(mutated({**HEADER, "weights_hash": _hash()}, choices))
        raw = save(_tensors(), {choices.of((checkpoint.KEY,) * 7 + ("other",)): header})
        if choices.one_in(3):  # the library's own header, which says where the tensors are
            size = int.from_bytes(raw[:8], "little")
            inner = json.loads(raw[8 : 8 + size])
            text = json.dumps(mutated(inner, choices)).encode()
            raw = len(text).to_bytes(8, "little") + text + raw[8 + size :]
        path = folder / "a.safetensors"
    else:
        buffer = io.BytesIO()
        state: Any = _strange(_tensors(), choices)
        torch.save({"state_dict": state} if choices.below(2) else state, buffer)
        raw = buffer.getvalue()
        path = folder / "a.pt"
    path.write_bytes(mangled(raw, choices) if choices.one_in(3) else raw)


@cache
def _hash() -> str:
    model = net()
    model.load_state_dict(_tensors())
    return checkpoint.weights_hash(model)


def read_checkpoint(folder: Path) -> str:
    (path,) = folder.glob("a.*")

    def call() -> None:
        if path.suffix == ".safetensors":
            checkpoint.load(net(), path)
        else:
            state_dict.load(net(), path)

    return check(call, folder)


def _training() -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)
    return model, optimizer


@cache
def _half_trained() -> bytes:
    model, optimizer = _training()
    model(torch.rand(4, 2)).sum().backward()
    optimizer.step()
    state = {
        "made_with": {"commit": "a"}, "epoch": 2, "seconds": 1.0, "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
    }  # fmt: skip
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def make_training(choices: Choices, folder: Path) -> None:
    raw = _half_trained()
    state = torch.load(io.BytesIO(raw), weights_only=True)
    kind = choices.below(4)
    if kind == 0:
        raw = mangled(raw, choices)
    elif kind == 1:
        state["model"] = _strange(state["model"], choices)
    elif kind == 2:
        moments = state["optimizer"]["state"]
        moments[0] = _strange({"momentum_buffer": torch.zeros(3, 2), **moments[0]}, choices)
    else:
        groups = state["optimizer"]["param_groups"]
        plain = {key: state[key] for key in ("made_with", "epoch", "seconds")}
        changed = mutated({**plain, "param_groups": groups}, choices)
        changed = changed if isinstance(changed, dict) else {}
        state.update({key: changed.get(key) for key in plain})
        state["optimizer"]["param_groups"] = changed.get("param_groups")
    if kind:
        buffer = io.BytesIO()
        torch.save(state, buffer)
        raw = buffer.getvalue()
    (folder / "net.unfinished.pt").write_bytes(raw)


def read_training(folder: Path) -> str:
    model, optimizer = _training()

    def call() -> None:
        resume_state = ResumeState(folder / "net.safetensors", {"commit": "a"})
        epoch, seconds = resume_state.restore(model, optimizer, CPU, 4)
        assert 0 <= epoch < 4
        assert seconds >= 0
        model(torch.rand(4, 2)).sum().backward()
        optimizer.step()

    return check(call, folder)


STATE = asdict(State(
    prediction=[0, 1, 2], margin=[0.5, 0.1, -0.5], correct=[True, True, False], level=[1, 2, 0],
    component=["fgsm", "", ""], norm=[0.004, NAN, NAN], stage=[0, 1, 0], failed=[-1, -1, -1],
    check=[-1, 1, -1], check_stage=[0, 1, 0], checked=["", "", ""], cheap=[-1, -1, -1],
    reached=[1.0, 0.4, 1.0], stratum=[-1, 0, -1], sampled=[False, True, False],
    forward=[3, 4, 1], gradient=[1, 2, 0], passes={"fgsm": {"forward": 3, "gradient": 1}},
    attack_seconds=1.0, batch_size=2,
))  # fmt: skip


IDENTITY = msgspec.convert({**RUN, "batch_size": 4}, RunIdentity)


def make_run(choices: Choices, folder: Path) -> None:
    content = {"header": msgspec.to_builtins(IDENTITY), "state": STATE}
    raw = json.dumps(mutated(content, choices)).encode()
    raw = mangled(raw, choices) if choices.one_in(3) else raw
    (folder / "run.partial.json").write_bytes(raw)


def read_run(folder: Path) -> str:
    split = Split(torch.zeros(3, 1, 2, 2, dtype=torch.uint8), torch.arange(3), torch.arange(3), 255)
    sizes = resume.Sizes(images=3, levels=len(GRID), steps=3, batch_size=4)

    def call() -> None:
        state = resume.read_state(folder / "run.partial.json", IDENTITY, sizes)
        if state is not None:
            outcome.table(split, state, 2, True)
            outcome.count_conclusions(state)
            assert 1 <= state.batch_size <= 4

    return check(call, folder)


# Class folders


@cache
def _image(kind: str, size: tuple[int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (9, 99, 199)).save(buffer, format=kind)
    return buffer.getvalue()


def make_folder(choices: Choices, folder: Path) -> None:
    names = ["cat", "dog"]
    if choices.one_in(4):
        odd = choices.text().replace("/", "").replace("\x00", "").strip(".")[:80]
        names[0] = odd.encode("utf-8", "replace").decode() or "cat"
    for split in ("train", "test"):
        for name in names:
            place = folder / "set" / split / name
            place.mkdir(parents=True, exist_ok=True)
            (place / "0.png").write_bytes(_image("PNG", (4, 4)))
    for _ in range(choices.below(3)):
        place = folder / "set" / choices.of(("train", "test")) / choices.of(names)
        kind = choices.of(("PNG", "JPEG", "BMP", "PPM", "WEBP", "GIF", "TIFF"))
        suffix = choices.of((".png", ".jpg", ".bmp", ".ppm", ".webp", ".gif"))
        raw = _image(kind, choices.of(((4, 4), (4, 4), (4, 4), (5, 4), (1, 1))))
        (place / f"1{suffix}").write_bytes(mangled(raw, choices))


def read_folder(folder: Path) -> str:
    def call() -> None:
        loaded = image_folder.load_folder(folder / "set")
        again = image_folder.load_folder(folder / "set")
        assert loaded.test.hash == again.test.hash

    with in_folder(folder):
        return check(call, folder)


def make_cache(choices: Choices, folder: Path) -> None:
    tensors: dict[str, Any] = {}
    for split, n in (("train", 3), ("test", 2)):
        tensors[f"{split}.images"] = torch.zeros(n, 3, 2, 2, dtype=torch.uint8)
        tensors[f"{split}.labels"] = torch.arange(n) % 2
        tensors[f"{split}.index"] = torch.arange(n)
    for _ in range(choices.below(3)):
        name = choices.of(sorted(tensors))
        kind = choices.below(3)
        if kind == 0:
            tensors[name] = tensors[name].to(choices.of((torch.float32, torch.int8, torch.bool)))
        elif kind == 1:
            tensors[name] = tensors[name] + choices.below(9) - 4
        else:
            tensors[name] = torch.zeros([choices.below(4) for _ in range(choices.below(6))])
    raw = save(tensors)
    (folder / "cache").write_bytes(mangled(raw, choices) if choices.one_in(2) else raw)


def read_cache(folder: Path) -> str:
    def call() -> None:
        for split in image_folder._read_cache(folder / "cache", {"train": 3, "test": 2}, 2):
            assert len(split.hash) == 12
            assert split.pixels().shape[1:] == (3, *split.images.shape[2:])

    return check(call, folder)


def make_class_index(choices: Choices, folder: Path) -> None:
    kind = choices.below(4)
    if kind == 0:
        text = json.dumps(mutated({"cat": 3, "dog": 1}, choices))
    elif kind == 1:
        text = json.dumps(mutated({"label2id": {"1": "cat", "0": ["x", "dog"]}}, choices))
    else:
        text = choices.of(("cat\ndog\nowl\n", "3 cat\n0 dog\n", "cat, 1\ndog, 0\n"))
    raw = text.encode()
    (folder / "index").write_bytes(mangled(raw, choices) if choices.one_in(3) else raw)


def read_class_index(folder: Path) -> str:
    images = torch.zeros(2, 1, 2, 2, dtype=torch.uint8)
    split = Split(images, torch.arange(2), torch.arange(2), grey_levels=255)
    data = Dataset("some", ("cat", "dog"), split, split)

    def call() -> None:
        found = class_index.apply(data, str(folder / "index"))
        assert int(found.test.labels.max()) < len(found.classes)
        assert int(found.test.labels.min()) >= 0

    return check(call, folder)


ROW = zoo.Entry(
    name="a", model="resnet14", spatial="frozen", channel="learned", seed=1, dataset="digits",
    train_examples=10, epochs=2, adversarial="8/255", test_accuracy=0.5, weights_hash="0" * 12,
    sha256="1" * 64, size_bytes=9,
)  # fmt: skip


def make_zoo(choices: Choices, folder: Path) -> None:
    raw = zoo.table_text([ROW, msgspec.structs.replace(ROW, name="b")]).encode()
    for _ in range(choices.below(3)):
        raw = mangled(raw, choices)
    (folder / zoo.TABLE).write_bytes(raw)


def read_zoo(folder: Path) -> str:
    def call() -> None:
        for row in zoo.parse_table((folder / zoo.TABLE).read_bytes(), "here"):
            assert (folder / row.file).parent == folder
            assert 0 <= row.test_accuracy <= 1

    return check(call, folder)


TARGETS = {
    "arguments": Target(make_arguments, read_arguments),
    "protocol": Target(make_protocol, read_protocol),
    "sweep": Target(make_sweep, read_sweep),
    "records": Target(make_records, read_records),
    "probes": Target(make_probes, read_probes),
    "decodings": Target(make_decodings, read_decodings),
    "model_info": Target(make_model_info, read_model_info),
    "baseline": Target(make_baseline, read_baseline),
    "measurements": Target(make_measurements, read_measurements),
    "checkpoint": Target(make_checkpoint, read_checkpoint),
    "training": Target(make_training, read_training),
    "run": Target(make_run, read_run),
    "folder": Target(make_folder, read_folder),
    "cache": Target(make_cache, read_cache),
    "class_index": Target(make_class_index, read_class_index),
    "zoo": Target(make_zoo, read_zoo),
}
