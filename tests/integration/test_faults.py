"""Nothing is lost, and nothing wrong is left, when a process dies or a disk or memory is full."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from msgspec import structs
from torch import Tensor, nn
from torch.nn import functional as F

from robustbench_mix import cli
from robustbench_mix.attacks.counted_model import CountedModel
from robustbench_mix.benchmarks import processes
from robustbench_mix.config.training import recipe_for
from robustbench_mix.errors import RbmixError
from robustbench_mix.results import leaderboard, records
from robustbench_mix.runtime import memory
from robustbench_mix.storage.files import write_bytes
from robustbench_mix.storage.locks import exclusive_lock
from robustbench_mix.training import loop, resume
from robustbench_mix.training.resume import ResumeState

pytestmark = pytest.mark.default

KILLING = Path(__file__).parents[1] / "faults" / "killing.py"
SWEEP = """
[[grid]]
models = ["resnet14_w4"]
spatial = ["learned", "frozen"]
attacks = ["fgsm", "pgd"]
epochs = 2
train_examples = 100
examples = 8

[[unshuffle]]
width = [8]
depth = [1]
kernel = [3]
epochs = 2
train_examples = 60
"""
SMALL = ["--model", "resnet14_w4", "--epochs", "5", "--train-examples", "600"]
EVALUATE = ["evaluate", *SMALL, "--attack", "smoke", "--examples", "8"]
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cached: Path, unexamined: None) -> Path:
    """An empty working folder, with the shared cache of checkpoints."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def kept(results: Path) -> dict[str, bytes]:
    """Every file by its path, but for dates and durations."""
    files = (path for path in results.rglob("*") if path.is_file())
    return {str(p.relative_to(results)): p.read_bytes() for p in files if p.suffix != ".json"}


def kill(folder: Path, kills: int, *more: str, runs: int = 4) -> list[int]:
    """Kill a sweep so many times, going on after each, and compare with an undisturbed one.

    `more` are words for its command line, with which it has so many runs.
    """
    (folder / "sweep.toml").write_text(SWEEP)
    command = [sys.executable, "-P", str(KILLING), str(folder), str(kills)]
    done = subprocess.run(
        [*command, "--", "sweep", str(folder / "sweep.toml"), *more], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    rounds: list[int] = json.loads(done.stdout)
    whole = kept(folder / "undisturbed" / "results")
    assert {"leaderboard.csv", "leaderboard.md", "unshuffle.md"} < whole.keys()
    assert sum(name.startswith("runs/") for name in whole) == runs
    for number in range(len(rounds)):
        assert kept(folder / str(number) / "results") == whole
        left = [path.name for path in (folder / str(number)).rglob("*") if path.is_file()]
        assert not [name for name in left if ".part" in name or ".unfinished" in name]
    return rounds


@forks
def test_killed_sweeps_end_as_undisturbed_ones(tmp_path: Path) -> None:
    """SIGKILL at three random points: the same bytes, and nothing else is left."""
    assert sum(kill(tmp_path, 3, "--attacks", "fgsm", runs=2)) >= 3


@forks
@pytest.mark.slow
def test_sweeps_killed_sixty_times_end_as_undisturbed_ones(tmp_path: Path) -> None:
    """SIGKILL at sixty random points, several rounds of it."""
    rounds = kill(tmp_path, 60)
    assert sum(rounds) >= 60
    assert len(rounds) > 1


@forks
@pytest.mark.slow
def test_killed_workers_end_as_undisturbed_ones(tmp_path: Path) -> None:
    """SIGKILL to the process that two workers work for: they end too, and lose nothing."""
    assert sum(kill(tmp_path, 10, "--workers", "2")) >= 10


class CrashError(Exception):
    """Stands for whatever ends a training."""


def trained(
    optimizer: str, kept: ResumeState | None, averaging: float | None = None, epochs: int = 4
) -> nn.Module:
    """A small network after training; it crashes after so many epochs if that is fewer."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 10))
    x, y = torch.rand(50, 1, 8, 8), torch.arange(50) % 10
    recipe = recipe_for("resnet" if optimizer == "sgd" else "convmixer", "digits")
    recipe = replace(recipe, epochs=4, batch_size=16, averaging=averaging)
    assert recipe.optimizer == optimizer
    batches = 0

    def loss_of(rows: Tensor, generator: torch.Generator, autocast: torch.autocast):
        nonlocal batches
        batches += 1
        if batches > 4 * epochs:
            raise CrashError
        noise = torch.randn(len(rows), 1, 8, 8, generator=generator)
        loss = F.cross_entropy(model(x[rows] + 0.1 * noise), y[rows])
        return loss, lambda: ""

    loop.fit(model, 50, recipe, 0, torch.device("cpu"), loss_of, resume_state=kept)
    return model


@pytest.mark.parametrize("averaging", [None, 0.9995])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_killed_training_goes_on_to_the_same_weights(
    tmp_path: Path, monkeypatch, capsys, optimizer: str, averaging: float | None
) -> None:
    """From the last epoch, bit by bit: weights, their average, statistics, momenta and rates."""
    monkeypatch.setattr(resume, "SAVE_EVERY_SECONDS", 0.0)
    kept = ResumeState(tmp_path / "net.safetensors", {"commit": "a"})
    with pytest.raises(CrashError):
        trained(optimizer, kept, averaging, epochs=1)
    with pytest.raises(CrashError):  # a second time, further on
        trained(optimizer, kept, averaging, epochs=2)
    capsys.readouterr()
    resumed = trained(optimizer, kept, averaging)
    assert "3 epochs done" in capsys.readouterr().err
    whole = trained(optimizer, None, averaging)
    for (name, one), (_, other) in zip(
        resumed.state_dict().items(), whole.state_dict().items(), strict=True
    ):
        assert torch.equal(one, other), name


def test_a_resume_state_of_other_code_starts_over(tmp_path: Path, monkeypatch, capsys) -> None:
    """Half by one version and half by another would be neither."""
    monkeypatch.setattr(resume, "SAVE_EVERY_SECONDS", 0.0)
    with pytest.raises(CrashError):
        trained("sgd", ResumeState(tmp_path / "net.safetensors", {"commit": "a"}), epochs=1)
    again = trained("sgd", ResumeState(tmp_path / "net.safetensors", {"commit": "b"}))
    assert "starting over" in capsys.readouterr().err
    whole = trained("sgd", None)
    assert all(map(torch.equal, again.state_dict().values(), whole.state_dict().values()))


def test_a_damaged_resume_state_of_a_training_is_named(tmp_path: Path, monkeypatch) -> None:
    """It is not dropped silently, and nobody's code in it runs."""
    monkeypatch.setattr(resume, "SAVE_EVERY_SECONDS", 0.0)
    kept = ResumeState(tmp_path / "net.safetensors", {})
    with pytest.raises(CrashError):
        trained("sgd", kept, epochs=2)
    whole = kept.path.read_bytes()
    for content in (b"", whole[:100], whole[: len(whole) // 2], b"cos\nsystem\n(S'exit 1'\ntR."):
        kept.path.write_bytes(content)
        with pytest.raises(RbmixError, match=r"net.unfinished.pt is damaged; delete it"):
            trained("sgd", kept)


def test_a_second_process_waits_and_takes_what_the_first_made(
    here: Path, cached: Path, capsys
) -> None:
    """Who comes to a training or a run that another is at does not do it again."""
    commands = [["train", *SMALL, "--seed", "7"], [*EVALUATE, "--seed", "7"]]
    for command in commands:
        assert cli.main(command) == 0  # once, to know the path
        paths = [*here.rglob("*.parquet"), *cached.rglob("*s7-digits*.safetensors")]
        path = max(paths, key=lambda one: one.stat().st_mtime_ns)
        made = path.read_bytes()
        path.unlink()
        capsys.readouterr()
        with ThreadPoolExecutor() as pool, exclusive_lock(path):
            second = pool.submit(cli.main, command)
            said = ""
            while "waiting for it" not in said and not second.done():
                time.sleep(0.02)
                said += capsys.readouterr().err
            write_bytes(path, made)
        assert second.result() == 0
        assert "waiting for it" in said
        said = capsys.readouterr().err
        assert "loaded" in said or "already evaluated" in said
        assert path.read_bytes() == made


@pytest.mark.slow
@forks
def test_two_processes_in_one_folder(here: Path) -> None:
    """Both end well, on the same records, and the leaderboard has every run."""
    seeds = ("21", "22")
    command = [sys.executable, "-P", "-m", "robustbench_mix", *EVALUATE]
    both = [
        subprocess.Popen([*command, "--seed", seed], stderr=subprocess.PIPE, text=True)
        for seed in (*seeds, "21")
    ]
    said = [process.communicate()[1] for process in both]
    assert [process.returncode for process in both] == [0, 0, 0], said
    assert sum("going on" in text or "training resnet" in text for text in said) == 2
    assert len(records.read_all(here / "results")) == 2
    assert leaderboard.stale(here / "results") == []


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """No file of this process grows beyond that within the block."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on the size of files")
@pytest.mark.parametrize(
    ("limit", "words", "named"),
    [
        (2_000, ["train", *SMALL, "--seed", "31"], "safetensors"),
        (1_000, EVALUATE, "parquet"),
        (1_000, ["unshuffle", "--width", "8", "--depth", "1", "--epochs", "1",
                 "--train-examples", "40", "--examples", "8"], "parquet"),
        (1_000, [*EVALUATE, "--dataset", "tiny"], "tiny-"),
        (100, ["leaderboard", "results"], "leaderboard.csv"),
        (100, ["claims", "results"], "claims.md"),
        (10_000, ["report", "results"], "report.html"),
    ],
    ids=["checkpoint", "records", "decodings", "folder", "leaderboard", "claims", "report"],
)  # fmt: skip
def test_a_full_disk(here: Path, capsys, write_folder, limit: int, words: list, named: str) -> None:
    """One line that names the file, exit code 2, and what was there is there still."""
    assert cli.main(EVALUATE) == 0
    assert cli.main(["claims", "results"]) == 0
    write_folder()
    if words == EVALUATE:
        words = [*words, "--seed", "1"]
        assert cli.main(["train", *SMALL, "--seed", "1"]) == 0
    for path in here.glob(f"results/{named}"):
        path.write_text("of other records")  # what follows from the records is written anew
    before = kept(here)
    capsys.readouterr()
    with files_of_at_most(limit):
        code = cli.main(words)
    said = capsys.readouterr().err
    assert code == 2, said
    assert "Traceback" not in said
    (line,) = [one for one in said.splitlines() if one.startswith("rbmix: ")]
    assert "cannot write" in line
    # On a slow machine it is the state of what is not done yet that finds no room.
    assert any(name in line for name in (named, ".unfinished.pt", ".partial.json"))
    after = kept(here)
    assert {name: after.get(name) for name in before} == before
    assert not [name for name in after if ".part" in name]


def test_a_clock_that_goes_backwards(here: Path, monkeypatch) -> None:
    """Only dates come from it: the same records, and no negative duration."""
    assert cli.main(EVALUATE) == 0
    (path,) = here.rglob("*.parquet")
    first = path.read_bytes()
    now = iter(range(2_000_000_000, 0, -86_400))
    monkeypatch.setattr(time, "time", lambda: float(next(now)))
    monkeypatch.setattr(time, "time_ns", lambda: next(now) * 10**9)
    assert cli.main([*EVALUATE, "--fresh"]) == 0
    assert path.read_bytes() == first
    assert all(seconds >= 0 for seconds in records.read(path).time_seconds.values())


def test_a_worker_that_dies_is_named() -> None:
    """A measured process that is killed says so in one line."""
    dying = f"import os; os.kill(os.getpid(), {int(signal.SIGTERM)})"
    with pytest.raises(RbmixError, match=r"a measured process failed: killed by signal 15"):
        processes._run([sys.executable, "-c", dying], {})


class Small:
    """A memory that holds a batch of `fits` images."""

    def __init__(self, fits: int) -> None:
        self.fits = fits
        self.largest = 0

    def __call__(self, target: CountedModel | int, x: Tensor | list, *rest) -> Tensor:
        self.largest = max(self.largest, len(x))
        if len(x) > self.fits:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.forward(target, x, *rest)


@pytest.mark.parametrize("backend", ["fast", "reference"])
def test_memory_that_runs_out(here: Path, capsys, monkeypatch, backend: str) -> None:
    """The batch halves, the run goes on to the same result, and the row notes it."""
    words = [*EVALUATE, "--examples", "24", "--backend", backend]
    assert cli.main(words) == 0
    (path,) = here.rglob("*.parquet")
    before = records.read(path)
    assert before.header.smallest_batch is None
    limited = Small(fits=8)
    limited.forward = CountedModel.__call__
    monkeypatch.setattr(CountedModel, "__call__", lambda *given: limited(*given))
    capsys.readouterr()
    assert cli.main([*words, "--fresh"]) == 0
    assert "out of memory: continuing with batches of" in capsys.readouterr().err
    assert limited.largest > 8
    after = records.read(path)
    assert after.header.smallest_batch <= 8
    for name in ("prediction", "correct", "broken"):
        assert after.table[name].tolist() == before.table[name].tolist()
    rows = leaderboard.rows([after, before])
    assert rows["smallest_batch"].dropna().unique().tolist() == [after.header.smallest_batch]


def test_memory_that_holds_no_image(here: Path, monkeypatch, capsys) -> None:
    """One line and exit code 2, before and within the attack."""
    limited = Small(fits=0)
    monkeypatch.setattr(CountedModel, "__call__", lambda *given: limited(*given))
    assert cli.main(EVALUATE) == 2
    assert "out of memory" in capsys.readouterr().err
    with pytest.raises(RbmixError, match="out of memory with a batch of one image"):
        memory.retry_with_smaller_batches(limited, [1, 2, 3], 3)


@pytest.mark.quick
def test_memory_that_runs_out_in_training() -> None:
    """Another batch size would be another training: it ends, in one line."""
    with (
        pytest.raises(RbmixError, match=r"out of memory in training"),
        memory.report_out_of_memory("in training"),
    ):
        torch.empty(2**50)
    with pytest.raises(RuntimeError, match="negative"), memory.report_out_of_memory("in training"):
        torch.empty(-1)


def refused(capsys, words: list[str], *fragments: str) -> None:
    """The command ends with exit code 2 and one line that says all of this."""
    capsys.readouterr()
    assert cli.main(words) == 2, words
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("rbmix: "), words
    for fragment in fragments:
        assert fragment in last, words


WRITING = [
    EVALUATE,
    ["explain", *SMALL, "--examples", "8"],
    ["unshuffle", "--width", "8", "--depth", "1", "--epochs", "1", "--examples", "8"],
    ["sweep", "quick"],
]


@pytest.mark.quick
@pytest.mark.parametrize("words", WRITING, ids=lambda words: words[0])
def test_a_results_folder_that_cannot_be_made(here: Path, capsys, words: list[str]) -> None:
    """Also where permissions bind nobody: said before anything is trained, nothing written."""
    (here / "file").write_text("in the way")
    refused(capsys, [*words, "--out", "file/results"], "cannot write to file/results")
    assert [path.name for path in here.iterdir()] == ["file"]


@pytest.mark.parametrize("words", [["train", *SMALL], *WRITING], ids=lambda words: words[0])
def test_a_cache_that_cannot_be_written(here: Path, capsys, monkeypatch, words: list) -> None:
    """A file where the cache should be is named; no records come of it."""
    (here / "file").write_text("in the way")
    monkeypatch.setenv("RBMIX_HOME", str(here / "file"))
    capsys.readouterr()
    assert cli.main(words) == 2
    found = capsys.readouterr()
    assert str(here / "file") in found.err
    assert "Traceback" not in found.err
    assert not list(here.rglob("*.parquet"))
    assert (here / "file").read_text() == "in the way"


def test_truncated_files_are_named(here: Path, capsys, monkeypatch, write_folder) -> None:
    """Whatever is cut in half: one line with its path, and it is left as it is."""
    # A home of its own: other tests keep folders of the same name in the shared one.
    monkeypatch.setenv("RBMIX_HOME", str(home := here / "home"))
    folder = ["--dataset", str(write_folder())]
    brief = ["--epochs", "1", "--train-examples", "40", "--examples", "8"]
    unshuffle = ["unshuffle", "--width", "8", "--depth", "1", "--spatial", "learned", *brief]
    explain = ["explain", "--model", "resnet14_w4", "--spatial", "learned", *brief]
    small = ["--model", "resnet14_w4", "--epochs", "1", "--attack", "smoke", "--seed", "41"]
    for words in (["evaluate", *small, *folder], unshuffle, explain):
        assert cli.main(words) == 0, words
    (protocol := here / "mine.toml").write_text('summary = "s"\nalgorithm = "pg')
    (sweep := here / "sweep.toml").write_text('[[grid]]\nmodels = ["resnet14_w4"')
    cases = [
        (protocol, [*EVALUATE, "--attack", str(protocol)], "is not valid TOML"),
        (sweep, ["sweep", str(sweep)], "is not valid TOML"),
    ]
    for pattern, words in (
        ("runs/**/*.parquet", ["leaderboard"]),
        ("runs/**/*.parquet", ["evaluate", *small, *folder]),
        ("runs/**/*.json", ["leaderboard"]),
        ("probes/**/*.parquet", ["report"]),
        ("unshuffle/**/*.parquet", ["claims"]),
    ):
        (path,) = (here / "results").glob(pattern)
        cases.append((path, words, "damaged"))
    (cached,) = (home / "data").glob("tiny-*.safetensors")
    (checkpoint,) = (home / "checkpoints").glob("*s41-tiny*.safetensors")
    cases += [(path, ["train", *small[:4], *small[6:], *folder], "damaged")
              for path in (cached, checkpoint)]  # fmt: skip
    for path, words, said in cases:
        whole = path.read_bytes()
        half = whole[: len(whole) // 2] if path.suffix != ".toml" else whole
        path.write_bytes(half)
        refused(capsys, words, path.name, said)
        assert path.read_bytes() == half
        path.write_bytes(whole)


def test_a_truncated_leaderboard(here: Path, capsys) -> None:
    """`--check` names it with exit code 1 and leaves it; without, the records give it again."""
    assert cli.main(EVALUATE) == 0
    for name in ("leaderboard.csv", "leaderboard.md"):
        path = here / "results" / name
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        capsys.readouterr()
        assert cli.main(["leaderboard", "--check"]) == 1
        assert f"{name} does not match the records" in capsys.readouterr().out
        assert path.read_bytes() != whole
        assert cli.main(["leaderboard"]) == 0
        assert path.read_bytes() == whole


def test_a_checkpoint_whose_hash_does_not_match(here: Path, capsys) -> None:
    """Weights that are not those of the header are refused by every command that would use them."""
    words = [*SMALL, "--seed", "43"]
    assert cli.main(["train", *words]) == 0
    (path,) = Path(os.environ["RBMIX_HOME"]).rglob("*s43-digits*.safetensors")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1  # the last bit of some weight
    path.write_bytes(content)
    for command in (["train", *words], ["evaluate", *words, "--attack", "smoke"]):
        refused(capsys, command, path.name, "the weights do not match the header's hash")
    assert path.read_bytes() == content
    assert not list(here.rglob("*.parquet"))


def test_what_other_versions_gave_is_kept(here: Path, capsys) -> None:
    """A new result takes its place; the old one lies aside, named, and counts no more."""
    from dataclasses import replace

    assert cli.main(EVALUATE) == 0
    (path,) = here.rglob("*.parquet")
    run = records.read(path)
    versions = {**run.header.versions, "torch": "2.0.0"}
    records.write(replace(run, header=structs.replace(run.header, versions=versions)), path)
    old = {one.suffix: one.read_bytes() for one in (path, path.with_suffix(".json"))}
    for words in (EVALUATE, [*EVALUATE, "--fresh"], EVALUATE):
        capsys.readouterr()
        assert cli.main(words) == 0
        kept = sorted((here / "results" / "replaced" / "digits").iterdir())
        assert {one.suffix: one.read_bytes() for one in kept} == old
        if words == EVALUATE and "attacking again" in (said := capsys.readouterr().err):
            assert f"kept as {Path('results/replaced/digits')}" in said
    assert records.read(path).header.versions == run.header.versions
    assert len(records.read_all(here / "results")) == 1


def test_a_resume_state_of_other_versions_starts_over(here: Path, capsys) -> None:
    """Half by one and half by another would be neither: it says so."""
    assert cli.main(EVALUATE) == 0
    (path,) = here.rglob("*.parquet")
    whole = path.read_bytes()
    path.unlink()
    path.with_suffix(".partial.json").write_text('{"header": {"commit": "other"}, "state": {}}')
    capsys.readouterr()
    assert cli.main(EVALUATE) == 0
    assert "is of another run (other " in capsys.readouterr().err
    assert path.read_bytes() == whole
    assert not path.with_suffix(".partial.json").exists()
