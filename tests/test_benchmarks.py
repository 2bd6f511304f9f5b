"""The speed comparisons run and report; what they measure is not judged here."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.default


def test_composed_benchmark_prints_its_ratios(checkout: Path, tmp_path: Path) -> None:
    """Both steps in both layouts, each with a positive ratio."""
    script = checkout / "tests" / "benchmarks" / "bench_composed.py"
    done = subprocess.run(
        [sys.executable, str(script), "--quick", "--device", "cpu"],
        capture_output=True, text=True, check=True, cwd=tmp_path,
    )  # fmt: skip
    rows = [line.split("|") for line in done.stdout.splitlines() if "resnet14_w4" in line]
    assert [(row[4].strip(), row[5].strip()) for row in rows] == [
        (layout, step)
        for layout in ("contiguous_format", "channels_last")
        for step in ("training", "attack")
    ]
    assert all(float(row[6]) > 0 for row in rows)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_graphs_benchmark_needs_a_card(checkout: Path) -> None:
    """Without one it says so and measures nothing."""
    script = checkout / "tests" / "benchmarks" / "bench_graphs.py"
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert done.returncode == 1
    assert (done.stdout, done.stderr) == ("", "no CUDA device: there is nothing to compare\n")


def test_workers_benchmark_prints_its_ratio(checkout: Path, tmp_path: Path) -> None:
    """One line with a positive ratio and a cost, which may be lost in noise; both sweeps end."""
    script = checkout / "tests" / "benchmarks" / "bench_workers.py"
    done = subprocess.run(
        [sys.executable, str(script), "--quick", "--runners", "local"],
        capture_output=True, text=True, check=True, cwd=tmp_path,
    )  # fmt: skip
    line = r"local: (\d+\.\d\d) times as fast .* costs -?\d+\.\d ms\n"
    found = re.fullmatch(line, done.stdout)
    assert found is not None, done.stdout
    assert float(found[1]) > 0


def test_imagenet_benchmark_prints_its_calculation(checkout: Path) -> None:
    """More at once take less time, down to the longest training and what waits for it."""
    script = checkout / "tests" / "benchmarks" / "imagenet.py"
    done = subprocess.run(
        [sys.executable, str(script), "--quick"], capture_output=True, text=True, check=True
    )
    one, eight, thousand = (float(h) for h in re.findall(r"at least (\S+) hours", done.stdout))
    chain = re.search(r"what waits for it: (\S+)", done.stdout)
    assert chain is not None, done.stdout
    assert one > eight >= thousand == float(chain[1])
