"""Benchmark whole processes: peak memory of an evaluation, and the time of a command."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time

from robustbench_mix.benchmarks.table import Row
from robustbench_mix.errors import RbmixError

MEMORY = """
import sys, tempfile
from pathlib import Path
import torch
from robustbench_mix.config.model import ModelSpec
from robustbench_mix.data.dataset import Dataset, Split
from robustbench_mix.evaluation.evaluate import evaluate
from robustbench_mix.evaluation.attack_plan import attack_plan
from robustbench_mix.evaluation.data_plan import DataPlan
from robustbench_mix.evaluation.model_plan import module_plan
from robustbench_mix.evaluation.plan import EvaluationPlan
from robustbench_mix.models import factory
from robustbench_mix.runtime.progress import set_quiet
n = int(sys.argv[1])
set_quiet(True)
draw = torch.Generator().manual_seed(0)
images = torch.randint(0, 256, (n, 3, 32, 32), dtype=torch.uint8, generator=draw)
split = Split(images, torch.arange(n) % 10, torch.arange(n), 255)
data = Dataset("random", tuple("0123456789"), split, split)
model = factory.build(ModelSpec("resnet14"), factory.Shape(3, 32, 10), *data.statistics())
plan = EvaluationPlan(
    data=DataPlan(data, n), device="cpu", model=module_plan(model.eval()),
    attack=attack_plan("smoke", batch_size=256),
)
evaluate(plan, Path(tempfile.mkdtemp()))
# Not getrusage: its peak is inherited from the process that started this one.
lines = Path("/proc/self/status").read_text().splitlines()
print(next(line.split()[1] for line in lines if line.startswith("VmHWM")))
"""


def memory_row(few: int, many: int) -> Row:
    """Compare the peak resident memory of evaluations on few and on many images, on the CPU.

    Raises:
        RbmixError: There is no /proc, as on Linux, to read the memory from.
    """
    peaks = [int(_run([sys.executable, "-c", MEMORY, str(n)], {})) for n in (few, many)]
    note = f"{peaks[1] / 1024:,.0f} against {peaks[0] / 1024:,.0f} MiB, short PGD, batch 256"
    work = f"peak memory, {many:,} images"
    return Row(work, f"{few:,} images", "≤ 1.3x", [peaks[1] / peaks[0]], note)


def command_row() -> Row:
    """Time the first command of the README in an empty cache, training included."""
    words = ["evaluate", "--model", "resnet18", "--spatial", "frozen", "--attack", "autoattack"]
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        _run(
            [sys.executable, "-P", "-m", "robustbench_mix", *words, "--out", f"{folder}/results"],
            {"RBMIX_HOME": f"{folder}/home"},
        )
        minutes = (time.perf_counter() - started) / 60
    note = "training included; a time of this machine, not a ratio"
    work = f"`rbmix {' '.join(words)}`, 128 test images"
    return Row(work, "-", "≤ 3 min on 2 cores", [minutes], note, unit=" min")


def _run(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )
    if done.returncode:
        ended = f"killed by signal {-done.returncode}" if done.returncode < 0 else "no message"
        detail = (done.stderr.strip().splitlines() or [ended])[-1]
        raise RbmixError(f"a measured process failed: {detail}")
    return done.stdout.strip().splitlines()[-1]
