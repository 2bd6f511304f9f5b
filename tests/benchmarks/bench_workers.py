"""Benchmark sweeps with several tasks at once against one task at a time.

Side by side, alternating, each in a new cache and results folder, a thread for each task; prints
the ratio of wall times (median and range): for worker processes, starting included, and for tasks
of a Ray cluster of two nodes that is running already. Then what a task costs that does nothing.
Asserts nothing about seconds.

    python tests/benchmarks/bench_workers.py [--runners local ray] [--repeats N] [--quick]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FAULTS = Path(__file__).parents[1] / "faults"
SWEEP = """
[[grid]]
models = ["{model}"]
spatial = ["learned", "frozen"]
seeds = {seeds}
attacks = ["pgd"]
epochs = {epochs}
examples = {examples}
"""
NOTHING = """
import sys, time
from functools import partial
from pathlib import Path
import tasks
from robustbench_mix.runtime import progress
from robustbench_mix.sweeps.executors import choose
from robustbench_mix.sweeps.scheduler import ignore_state
progress.set_quiet(True)
name, address, count = sys.argv[1], sys.argv[2] or None, int(sys.argv[3])
with choose.open_executor(name, workers=2, address=address, device="cpu") as executor:
    do = partial(tasks.do, folder=Path())
    executor.run([tasks.Task(str(n), "nothing") for n in range(4)], do, ignore_state)
    for number in (4, count):  # workers of this machine are started by each run, Ray's stay
        asked = [tasks.Task(str(n), "nothing") for n in range(number)]
        started = time.perf_counter()
        executor.run(asked, do, ignore_state)
        print(time.perf_counter() - started)
"""


@contextmanager
def cluster(name: str) -> Iterator[str]:
    """The address of a cluster of two nodes with a processor each, '' where none is asked for."""
    if name != "ray":
        yield ""
        return
    with subprocess.Popen(
        [sys.executable, str(FAULTS / "nodes.py")], text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as nodes:  # fmt: skip
        assert nodes.stdout is not None and nodes.stdin is not None
        yield next(line.strip() for line in nodes.stdout if line.count(":") == 1 and "." in line)
        nodes.stdin.close()


def environment(home: Path) -> dict[str, str]:
    """Of a command with a cache of its own and one thread for each task."""
    path = os.pathsep.join(filter(None, [str(FAULTS), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "RBMIX_HOME": str(home), "OMP_NUM_THREADS": "1", "PYTHONPATH": path}


def seconds(sweep: Path, folder: Path, *words: str) -> float:
    """How long the sweep takes from nothing."""
    command = ["sweep", str(sweep), *words, "--out", str(folder / "results")]
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "robustbench_mix", *command], env=environment(folder / "home"),
        capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr)
    return time.perf_counter() - started


def overhead(name: str, address: str, folder: Path, count: int = 2000) -> float:
    """Seconds that each further task takes that does nothing, with two at once."""
    done = subprocess.run(
        [sys.executable, "-c", NOTHING, name, address, str(count)], env=environment(folder),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    few, many = (float(line) for line in done.stdout.split()[-2:])
    return (many - few) / (count - 4)


def main() -> None:
    """Print two lines for each runner."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runners", nargs="+", default=["local", "ray"])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a tiny sweep, once: no evidence")
    given = parser.parse_args()
    model, seeds, epochs, examples, repeats = "resnet14_w8", list(range(6)), 64, 256, given.repeats
    if given.quick:
        model, seeds, epochs, examples, repeats = "resnet14_w4", [0], 1, 8, 1
    for name in given.runners:
        found = []
        with tempfile.TemporaryDirectory() as place, cluster(name) as address:
            sweep = Path(place) / "sweep.toml"
            sweep.write_text(
                SWEEP.format(model=model, seeds=seeds, epochs=epochs, examples=examples)
            )
            words = ["--runner", name, *(["--address", address] if address else [])]
            for repeat in range(repeats):
                one, two = (
                    seconds(sweep, Path(place) / f"{repeat}-{n}", *words, "--workers", n)
                    for n in ("1", "2")
                )
                found.append(one / two)
            cost = overhead(name, address, Path(place))
        print(
            f"{name}: {statistics.median(found):.2f} times as fast with 2 at once as with 1 "
            f"({min(found):.2f} to {max(found):.2f}, {repeats} repeats, {os.cpu_count()} cores, "
            f"{model}); a task that does nothing costs {1000 * cost:.1f} ms",
            flush=True,
        )


if __name__ == "__main__":
    main()
