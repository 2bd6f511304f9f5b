"""Several worker processes: the same records as one, whoever dies meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import torch

from robustbench_mix import cli
from robustbench_mix.runtime import progress
from robustbench_mix.sweeps.executors import choose
from robustbench_mix.sweeps.executors.processes import run_in_processes
from robustbench_mix.sweeps.scheduler import ignore_state

pytestmark = pytest.mark.default

FAULTS = Path(__file__).parents[1] / "faults"
SWEEP = """
[[grid]]
models = ["resnet14_w4"]
spatial = ["learned", "frozen"]
attacks = ["fgsm", "smoke"]
epochs = 1
train_examples = 60
examples = 8
"""
LONG = """
[[grid]]
models = ["resnet14_w4"]
spatial = ["learned", "frozen"]
attacks = ["autoattack"]
epochs = 300
"""
PER_PROCESS = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc")


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch):
    """The module of small tasks, which workers can import too."""
    monkeypatch.syspath_prepend(str(FAULTS))
    import tasks

    return tasks


@pytest.fixture
def here(unshuffle: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path) -> Path:
    """A working folder with two sweeps, and an empty cache."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.toml").write_text(SWEEP + unshuffle)
    (tmp_path / "long.toml").write_text(LONG)
    return tmp_path


def kept(results: Path) -> dict[str, bytes]:
    """Every file by its path, but for dates and durations."""
    files = (path for path in results.rglob("*") if path.is_file())
    return {str(p.relative_to(results)): p.read_bytes() for p in files if p.suffix != ".json"}


def is_alive(pid: int) -> bool:
    """Whether a process runs still; what is dead and not yet waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def children(parent: int) -> list[int]:
    """The processes that this one has started and that run still."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def wait_until(so, what: str, seconds: float = 120) -> None:
    """Wait for something to become so."""
    until = time.monotonic() + seconds
    while not so():
        assert time.monotonic() < until, what
        time.sleep(0.02)


def test_workers_leave_what_one_process_leaves(here: Path, monkeypatch, capsys) -> None:
    """With as many threads each: the same plan, checkpoints, records and leaderboards."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1800000000")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    # On a busy machine planning may take long enough to be announced.
    monkeypatch.setattr(progress, "PATIENCE_SECONDS", 600.0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    left = {}
    try:
        for workers in ("1", "2"):
            monkeypatch.setenv("RBMIX_HOME", str(here / f"home{workers}"))
            words = ["--workers", workers, "--out", f"results{workers}"]
            assert cli.main(["sweep", "tiny.toml", *words]) == 0
            left[workers] = kept(here / f"results{workers}")
            said = capsys.readouterr().err
            assert said.count("] train resnet14_w4") == 2
        assert left["2"] == left["1"]
        assert sum(name.startswith("runs/") for name in left["1"]) == 4
        assert {"leaderboard.csv", "leaderboard.md", "unshuffle.md"} < left["1"].keys()
        # A line says which task it is about, and no bar runs across it.
        lines = [line for line in said.splitlines() if line]
        assert all(line.startswith("[") for line in lines), lines
        assert sum(line.endswith("/8] done") for line in lines) == 8
        # What was recorded with some threads is done, with any number of workers and threads.
        torch.set_num_threads(3)
        words = ["--workers", "2", "--out", "results2", "--json"]
        assert cli.main(["sweep", "tiny.toml", *words]) == 0
        found = capsys.readouterr()
        assert all(task["done"] for task in json.loads(found.out)["pieces"])
        assert found.err == ""
        assert kept(here / "results2") == left["2"]
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_task_waits_for_what_it_needs(tasks, tmp_path: Path, workers: int) -> None:
    """And for whoever makes the same; others go ahead meanwhile."""
    asked = [
        tasks.Task("train", makes="net"),
        tasks.Task("again", makes="net"),
        tasks.Task("attack", needs=("net",)),
        tasks.Task("other"),
    ]
    do = partial(tasks.do, folder=tmp_path)
    assert choose.local_executor(workers).run(asked, do, ignore_state) == []
    done = {one.description: (tmp_path / one.description).read_text().split() for one in asked}
    for first, second in (("train", "again"), ("again", "attack")):
        assert float(done[first][1]) <= float(done[second][0])
    assert len({pid for _, _, pid, _ in done.values()}) == workers


def test_workers_share_the_cores(tasks, tmp_path: Path, monkeypatch) -> None:
    """Unless OMP_NUM_THREADS says how many threads each process takes."""
    threads = torch.get_num_threads()
    do = partial(tasks.do, folder=tmp_path)
    try:
        torch.set_num_threads(4)
        for fixed, wanted in ((None, "2"), ("4", "4")):
            monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
            if fixed:
                monkeypatch.setenv("OMP_NUM_THREADS", fixed)
            assert run_in_processes([tasks.Task("a")], do, workers=2) == []
            assert (tmp_path / "a").read_text().split()[3] == wanted
    finally:
        torch.set_num_threads(threads)


def test_each_worker_sees_one_gpu(tasks, tmp_path: Path, monkeypatch) -> None:
    """In turn; this process sees what it saw before, and without GPUs nothing is said of them."""
    do = partial(tasks.do, folder=tmp_path)
    for before in (None, "4,7"):
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        if before:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", before)
        asked = [tasks.Task(name, "card") for name in "ab"]
        assert run_in_processes(asked, do, workers=2, cards=["4", "7"]) == []
        assert {(tmp_path / name).read_text() for name in "ab"} == {"4", "7"}
        assert os.environ.get("CUDA_VISIBLE_DEVICES") == before
        assert run_in_processes(asked[:1], do, workers=1) == []
        assert (tmp_path / "a").read_text() == (before or "none")


def test_a_worker_that_dies_fails_its_task_alone(tasks, tmp_path: Path, capsys) -> None:
    """One line each, in the order of the tasks; what needs it is not tried, the rest is done."""
    asked = [
        tasks.Task("killed", "die", makes="net"),
        tasks.Task("small", "fail"),
        tasks.Task("attack", needs=("net",)),
        tasks.Task("memory", "memory"),
        tasks.Task("bug", "raise"),
        *(tasks.Task(f"fine{number}") for number in range(4)),
    ]
    failures = run_in_processes(asked, partial(tasks.do, folder=tmp_path), workers=2)
    assert failures == [
        "killed: its worker was killed by signal 9; the same command tries again",
        "small: it is too small",
        "attack: not tried, what it needs failed",
        "memory: out of memory",
        "bug: its worker ended with code 1; the same command tries again",
    ]
    assert not (tmp_path / "attack.pid").exists()
    assert all((tmp_path / f"fine{number}").exists() for number in range(4))
    said = capsys.readouterr().err
    assert "[1/9] failed: its worker was killed by signal 9" in said
    assert choose.run_in_turn(asked[1:4], partial(tasks.do, folder=tmp_path)) == [
        "small: it is too small", "memory: out of memory",
    ]  # fmt: skip


@PER_PROCESS
def test_no_worker_outlives_a_killed_parent(tasks, tmp_path: Path) -> None:
    """SIGKILL leaves the parent no time to end them: they see to it themselves."""
    command = [sys.executable, "-P", str(FAULTS / "tasks.py"), str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as parent:
        files = [tmp_path / f"{name}.pid" for name in "ab"]
        wait_until(lambda: all(f.exists() and f.read_text() for f in files), "both at work")
        workers = [int(file.read_text()) for file in files]
        assert all(map(is_alive, workers))
        parent.kill()
    wait_until(lambda: not any(map(is_alive, workers)), "both gone", 20)


@PER_PROCESS
@pytest.mark.parametrize(
    "group", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["signal", "terminal"]
)
def test_ctrl_c_ends_all_workers(here: Path, group: bool) -> None:
    """Sent to one process or, as a terminal does, to all: exit code 130 and nothing is left."""
    command = [sys.executable, "-P", "-m", "robustbench_mix", "sweep", "long.toml"]
    with subprocess.Popen(
        [*command, "--workers", "2"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
        text=True, start_new_session=True,
    ) as parent:  # fmt: skip
        assert parent.stderr is not None
        seen = 0
        for line in parent.stderr:
            seen += "training resnet14_w4" in line
            if seen == 2:
                break
        workers = children(parent.pid)
        assert len(workers) >= 2
        if group:
            os.killpg(parent.pid, signal.SIGINT)
        else:
            parent.send_signal(signal.SIGINT)
        rest = parent.stderr.read()
    assert parent.returncode == 130, rest
    assert "interrupted; nothing half-written is left" in rest
    assert "Traceback" not in rest
    wait_until(lambda: not any(map(is_alive, workers)), "all gone", 20)
    left = [path.name for path in here.rglob("*") if path.is_file()]
    assert not [name for name in left if name.endswith((".part", ".parquet", ".safetensors"))]
