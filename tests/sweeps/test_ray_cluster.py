"""A Ray cluster does what one process does, also where a node is lost."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from robustbench_mix import cli
from robustbench_mix.errors import RbmixError
from robustbench_mix.sweeps.executors import choose
from robustbench_mix.sweeps.executors.ray_cluster import TaskResources, resources_per_task

pytestmark = pytest.mark.default

NODES = Path(__file__).parents[1] / "faults" / "nodes.py"
WITH_RAY = pytest.mark.usefixtures("ray_starts")
SWEEP = """
[[grid]]
models = ["resnet14_w4"]
spatial = ["learned", "frozen"]
seeds = [0, 1]
attacks = ["fgsm", "smoke"]
epochs = 25
train_examples = 200
examples = 8
"""


@pytest.fixture(scope="module")
def ray_starts() -> None:
    """Skip where Ray is not installed, or does not start by itself."""
    if find_spec("ray") is None:
        pytest.skip("Ray is not installed")
    command = [sys.executable, "-c", "import ray; ray.init(num_cpus=1, include_dashboard=False)"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if done.returncode:
        pytest.skip(f"Ray does not start here: {done.stderr.splitlines()[-1]}")


@pytest.fixture
def here(unshuffle: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a sweep, one thread each, and durations that do not depend on days."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1800000000")
    monkeypatch.setenv("RAY_worker_niceness", "0")  # or a busy neighbour makes it wait for minutes
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    (tmp_path / "tiny.toml").write_text(SWEEP + unshuffle)
    return tmp_path


@contextmanager
def cluster(**environment: str):
    """The process of a cluster of two nodes, and its address; the variables are the second's."""
    words = [f"{name}={value}" for name, value in environment.items()]
    with subprocess.Popen(
        [sys.executable, "-P", str(NODES), *words], text=True,
        env={**os.environ, "XDG_CACHE_HOME": str(Path("head").absolute())},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        assert process.stdin and process.stdout
        lines = (line.strip() for line in process.stdout)
        # Ray talks on standard output too.
        address = next(line for line in lines if line.count(":") == 1 and " " not in line)
        try:
            yield process, address
        finally:
            process.stdin.close()
            process.wait(60)


def sweep(*words: str, **environment: str) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "robustbench_mix", "sweep", "tiny.toml", *words],
        env={**os.environ, **environment}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def kept(folder: Path) -> dict[str, bytes]:
    """Every result by its path, but for durations and the progress."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".json")
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in files
        if "checkpoints" not in path.parts
    }


@pytest.mark.slow
@WITH_RAY
def test_a_killed_node_costs_nothing_but_time(here: Path, monkeypatch) -> None:
    """Killed while both are at work: the other ends all of it, with the bytes of one process.

    The results are at a URL, and the nodes have no folder in common but that one: checkpoints and
    records come and go through it. Afterwards another machine sees how far it is.
    """
    at_once = sweep("--out", "alone", "--quiet", RBMIX_HOME=str(here / "home"))
    url = (here / "shared").as_uri()
    monkeypatch.delenv("RBMIX_HOME", raising=False)
    with cluster(XDG_CACHE_HOME=str(here / "second")) as (nodes, address):
        process = sweep(
            "--runner", "ray", "--address", address, "--out", url, XDG_CACHE_HOME=str(here / "head")
        )
        until = time.monotonic() + 300
        # Whoever trains a network holds a lock: the second node is in the middle of it.
        while not list((here / "second" / "rbmix" / "locks").glob("*")):
            assert time.monotonic() < until
            if process.poll() is not None:
                raise AssertionError(process.communicate()[0])
            time.sleep(0.05)
        assert nodes.stdin and nodes.stdout
        nodes.stdin.write("kill\n")
        nodes.stdin.flush()
        assert "killed" in nodes.stdout.readline()
        said = process.communicate(timeout=400)[0]
    assert process.returncode == 0, said
    assert said.count("no checkpoint yet") == 5  # of the four trainings one began twice
    assert at_once.communicate()[0] == ""
    assert at_once.returncode == 0
    assert kept(here / "shared") == kept(here / "alone")
    assert len(list((here / "shared" / "checkpoints").iterdir())) == 4
    assert not [path for path in (here / "shared").rglob("*") if path.name.startswith(".")]
    found = subprocess.run(
        [sys.executable, "-P", "-m", "robustbench_mix", "status", url, "--json"], text=True,
        env={**os.environ, "XDG_CACHE_HOME": str(here / "third")}, capture_output=True,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    (progress,) = json.loads(found.stdout)["sweeps"]
    assert progress["runner"] == "Ray, 2 nodes"
    assert {task["state"] for task in progress["pieces"]} == {"done"}


@WITH_RAY
def test_what_a_killed_node_was_at_is_done_by_another(here: Path, monkeypatch) -> None:
    """Both nodes have a task when one is killed: its task is started again, and nothing fails."""
    script = """
import sys
from functools import partial
from pathlib import Path
import tasks
from robustbench_mix.sweeps.executors import choose
from robustbench_mix.sweeps.scheduler import ignore_state
asked = [tasks.Task(name, "wait") for name in "ab"]
with choose.open_executor("ray", address=sys.argv[1], device="cpu") as executor:
    print(executor.run(asked, partial(tasks.do, folder=Path(sys.argv[2])), ignore_state))
"""
    folders = [str(NODES.parent), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, folders)))
    with (
        cluster() as (nodes, address),
        subprocess.Popen(
            [sys.executable, "-c", script, address, str(here)],
            text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as running,
    ):  # fmt: skip
        try:
            until = time.monotonic() + 200
            while len(list(here.glob("*.starts"))) < 2:
                assert time.monotonic() < until
                assert running.poll() is None, running.communicate()
                time.sleep(0.05)
            assert nodes.stdin and nodes.stdout
            nodes.stdin.write("kill\n")
            nodes.stdin.flush()
            assert "killed" in nodes.stdout.readline()
            (here / "go").touch()
            out, err = running.communicate(timeout=200)
        finally:
            running.kill()
    assert out.splitlines()[-1] == "[]", err
    assert {(here / name).exists() for name in "ab"} == {True}
    assert sum(len(path.read_text().splitlines()) for path in here.glob("*.starts")) == 3


@WITH_RAY
def test_what_a_task_says_and_how_it_fails(here: Path, capsys) -> None:
    """Failures are those of one process; an RbmixError of a question is one here."""
    sys.path.insert(0, str(NODES.parent))
    try:
        import tasks
    finally:
        sys.path.pop(0)
    script = """
import sys
sys.path.insert(0, sys.argv[1])
from functools import partial
from pathlib import Path
import tasks
from robustbench_mix.sweeps.executors import choose
from robustbench_mix.sweeps.scheduler import ignore_state
from robustbench_mix.errors import RbmixError
asked = [
    tasks.Task("train", makes="net"),
    tasks.Task("attack", needs=("net",)),
    tasks.Task("killed", "die", makes="lost"),
    tasks.Task("small", "fail"),
    tasks.Task("waits", needs=("lost",)),
    tasks.Task("memory", "memory"),
    tasks.Task("bug", "raise"),
]
with choose.open_executor("ray", workers=2, device="cpu") as executor:
    for line in executor.run(asked, partial(tasks.do, folder=Path(sys.argv[2])), ignore_state):
        print(line)
    try:
        executor.call(tasks.do, tasks.Task("small", "fail"), Path(sys.argv[2]))
    except RbmixError as error:
        print("refused:", error)
"""
    folders = [str(NODES.parent), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, folders))}
    done = subprocess.run(
        [sys.executable, "-c", script, str(NODES.parent), str(here)],
        text=True, capture_output=True, env=environment, timeout=300,
    )  # fmt: skip
    lines = [line for line in done.stdout.splitlines() if not line.startswith("(")]
    assert lines == [
        "killed: its task was lost (WorkerCrashed); the same command tries again",
        "small: it is too small",
        "waits: not tried, what it needs failed",
        "memory: out of memory",
        "bug: its task failed: a bug",
        "refused: it is too small",
    ], done.stderr
    ended, began = ((here / name).read_text().split() for name in ("train", "attack"))
    assert float(ended[1]) <= float(began[0])
    assert tasks.Task("train").act == "write"


@pytest.mark.quick
@pytest.mark.parametrize(
    ("nodes", "workers", "device", "wanted"),
    [
        ([{"CPU": 2}], None, "auto", TaskResources(1, 0)),
        ([{"CPU": 2}], 1, "cpu", TaskResources(2, 0)),
        ([{"CPU": 8}, {"CPU": 3}], 3, "auto", TaskResources(3, 0)),
        ([{"CPU": 1}, {"CPU": 1}], 1, "auto", TaskResources(1, 0)),
        ([{"CPU": 1}], 9, "auto", TaskResources(1, 0)),
        ([{"CPU": 8, "GPU": 4}, {"CPU": 4}], None, "auto", TaskResources(1, 1)),
        ([{"CPU": 8, "GPU": 4}], 6, "cuda", TaskResources(1, 0.5)),
        ([{"CPU": 8, "GPU": 4}], 2, "cuda", TaskResources(1, 1)),
        ([{"CPU": 8, "GPU": 4}], None, "cpu", TaskResources(1, 0)),
    ],
)  # fmt: skip
def test_the_share_of_a_task(nodes, workers, device, wanted, monkeypatch) -> None:
    """A GPU or a part of one; of processors what a node can give, so that so many find room."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert resources_per_task(nodes, workers, device) == wanted


@pytest.mark.quick
def test_omp_num_threads_is_what_a_task_takes(monkeypatch) -> None:
    """As for workers of this machine, but not more than a node has."""
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert resources_per_task([{"CPU": 8}], None, "cpu") == TaskResources(3, 0)
    assert resources_per_task([{"CPU": 2}], None, "cpu") == TaskResources(2, 0)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("cuda", "no node of the cluster has a GPU"),
        ("cuda:1", "device 'cuda:1': Ray chooses which (allowed: auto, cpu, cuda)"),
        ("mps", "device 'mps'"),
    ],
)
def test_devices_that_a_cluster_does_not_have(device: str, said: str) -> None:
    """They are named, with what is allowed."""
    with pytest.raises(RbmixError, match="device") as error:
        resources_per_task([{"CPU": 4}], None, device)
    assert said in str(error.value)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--runner", "slurm"], "unknown runner 'slurm' (allowed: local, ray)"),
        (["--address", "head:6379"], "--address head:6379 goes with --runner ray"),
        (["--runner", "ray", "--workers", "0"], "number of workers 0 must be at least 1"),
    ],
)
def test_wrong_words_are_named(here: Path, home: Path, capsys, words, said) -> None:
    """One line, exit code 2, nothing written."""
    assert cli.main(["sweep", "tiny.toml", *words]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert said in line
    assert not (here / "results").exists()


@pytest.mark.quick
def test_without_ray_it_says_what_to_install(here: Path, home: Path, capsys, monkeypatch) -> None:
    """In one line."""
    monkeypatch.setitem(sys.modules, "ray", None)
    assert cli.main(["sweep", "tiny.toml", "--runner", "ray"]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert 'pip install "robustbench-mix[cluster]"' in line


@pytest.mark.skipif(find_spec("ray") is None, reason="no Ray here")
@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("127.0.0.1:1", "Connection refused"),
        ("ray://127.0.0.1:1", "Connection refused"),
        ("[::1]:1", ""),
        ("127.0.0.1:99999", ""),
        ("nobody.invalid:6379", ""),
        (f"{'long' * 20}.invalid:6379", ""),
    ],
)
def test_an_address_where_nobody_is(
    address: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named at once, with the reason; Ray's own patience is minutes."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with (
        pytest.raises(RbmixError, match=rf"^no Ray cluster at {re.escape(address)}: .*{why}"),
        choose.open_executor("ray", address=address, device="cpu"),
    ):
        pass
