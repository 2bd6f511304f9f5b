"""The speed comparisons run and report what they measured; that is not judged here."""

from __future__ import annotations

import re
import statistics
import sys

import bench_composed
import bench_graphs
import bench_workers
import imagenet
import pytest
import torch

from robustbench_mix.runtime import timing


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys):
    """A function: what a benchmark prints."""

    def run(module, *words: str) -> str:
        monkeypatch.setattr(sys, "argv", [module.__name__, *words])
        module.main()
        return capsys.readouterr().out

    return run


def test_composed_benchmark_prints_its_ratios(run, monkeypatch) -> None:
    """Both steps in both layouts, each with the median and the range of what was measured."""
    measured: list[list[float]] = []

    def time_ratios(*given):
        found, *results = timing.time_ratios(*given)
        measured.append(found)
        return found, *results

    monkeypatch.setattr(bench_composed, "time_ratios", time_ratios)
    out = run(bench_composed, "--quick", "--device", "cpu")
    rows = [[cell.strip() for cell in line.split("|")] for line in out.splitlines()[4:]]
    assert [(row[1], *row[4:6]) for row in rows] == [
        ("resnet14_w4", layout, step)
        for layout in ("contiguous_format", "channels_last")
        for step in ("training", "attack")
    ]
    assert [row[6:8] for row in rows] == [
        [f"{statistics.median(found):.2f}", f"{min(found):.2f} to {max(found):.2f}"]
        for found in measured
    ]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_graphs_benchmark_needs_a_card(run) -> None:
    """Without one it says so and measures nothing."""
    with pytest.raises(SystemExit) as end:
        run(bench_graphs)
    assert end.value.code == "no CUDA device: there is nothing to compare"


WORKERS = re.compile(
    r"local: (\S+) times as fast with 2 at once as with 1 \((\S+) to (\S+), (\d+) repeats, .*;"
    r" a task that does nothing costs (-?\d+\.\d) ms\n"
)


def test_workers_benchmark_prints_its_ratio(run, monkeypatch) -> None:
    """One line: the median and the range of one worker's time over two's, and a task's cost."""
    took = {"1": iter([12.0, 12.0, 9.0]), "2": iter([6.0, 8.0, 10.0])}
    monkeypatch.setattr(bench_workers, "seconds", lambda *words: next(took[words[-1]]))
    monkeypatch.setattr(bench_workers, "overhead", lambda *words: 0.0021)
    found = WORKERS.fullmatch(run(bench_workers, "--runners", "local"))
    assert found is not None
    assert found.groups() == ("1.50", "0.90", "2.00", "3", "2.1")


@pytest.mark.slow
def test_workers_benchmark_measures_the_same_sweep_twice(run, monkeypatch) -> None:
    """Both leave the same records, and the line has the ratio of how long they took."""
    seconds, measured, left = bench_workers.seconds, [], []

    def noted(sweep, folder, *words):
        measured.append(seconds(sweep, folder, *words))
        left.append({p.name: p.read_bytes() for p in (folder / "results").rglob("*.parquet")})
        return measured[-1]

    monkeypatch.setattr(bench_workers, "seconds", noted)
    found = WORKERS.fullmatch(run(bench_workers, "--quick", "--runners", "local"))
    assert found is not None
    assert found[1] == f"{measured[0] / measured[1]:.2f}"
    assert len(left[0]) == 2
    assert left[0] == left[1]


@pytest.mark.default
def test_imagenet_benchmark_prints_its_calculation(run) -> None:
    """More at once take less time, down to the longest training and what waits for it."""
    out = run(imagenet, "--quick")
    one, eight, thousand = (float(h) for h in re.findall(r"at least (\S+) hours", out))
    chain = re.search(r"what waits for it: (\S+)", out)
    work = re.search(r"networks: (\S+)", out)
    assert chain is not None
    assert work is not None
    assert one == float(work[1])
    assert thousand == float(chain[1])
    assert eight == pytest.approx(max(one / 8, thousand), rel=1e-3)
