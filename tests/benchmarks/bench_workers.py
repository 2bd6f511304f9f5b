"""A sweep in several worker processes against the same sweep in one.

Side by side, alternating, each in a new cache and results folder; prints the ratio of wall times
(median and range), starting included. Asserts nothing about seconds.

    python tests/benchmarks/bench_workers.py [--workers N] [--repeats N] [--quick]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SWEEP = """
[[grid]]
models = ["{model}"]
spatial = ["learned", "frozen"]
seeds = [0, 1]
attacks = ["pgd"]
epochs = {epochs}
examples = {examples}
"""


def seconds(sweep: Path, folder: Path, workers: int) -> float:
    """How long the sweep takes from nothing."""
    words = ["sweep", str(sweep), "--workers", str(workers), "--out", str(folder / "results")]
    environment = {**os.environ, "RBMIX_HOME": str(folder / "home")}
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "robustbench_mix", *words], env=environment, check=True,
        capture_output=True,
    )  # fmt: skip
    return time.perf_counter() - started


def main() -> None:
    """Print one line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a tiny sweep, once: no evidence")
    given = parser.parse_args()
    model, epochs, examples, repeats = "resnet14_w8", 4, 64, given.repeats
    if given.quick:
        model, epochs, examples, repeats = "resnet14_w4", 1, 8, 1
    found = []
    with tempfile.TemporaryDirectory() as name:
        sweep = Path(name) / "sweep.toml"
        sweep.write_text(SWEEP.format(model=model, epochs=epochs, examples=examples))
        for repeat in range(repeats):
            one, several = (
                seconds(sweep, Path(name) / f"{repeat}-{workers}", workers)
                for workers in (1, given.workers)
            )
            found.append(several / one)
    print(
        f"wall time of {given.workers} workers over 1, {os.cpu_count()} cores, {model}: "
        f"{statistics.median(found):.2f} ({min(found):.2f} to {max(found):.2f}, {repeats} repeats)"
    )


if __name__ == "__main__":
    main()
