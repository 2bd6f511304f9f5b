"""The speed comparisons run and report; what they measure is not judged here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


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
