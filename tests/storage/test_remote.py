"""Results at a URL: read and written as if they were here, whole, and nowhere else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import fsspec
import pytest

from robustbench_mix import cli
from robustbench_mix.errors import RbmixError
from robustbench_mix.storage import files, remote

SMALL = ["--model", "resnet14_w4", "--epochs", "1", "--train-examples", "60", "--examples", "8"]
EVALUATE = ["evaluate", *SMALL, "--attack", "smoke"]


@pytest.fixture
def url(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A results folder that is reached through fsspec, and a working folder of the test's own."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return (tmp_path / "far" / "away").as_uri()


@pytest.fixture
def store() -> str:
    """One in memory, which behaves as an object store does."""
    yield "memory://bucket/results"
    fsspec.filesystem("memory").rm("/bucket", recursive=True)


def far(tmp_path: Path) -> set[str]:
    """Everything that is at the URL."""
    root = tmp_path / "far" / "away"
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


@pytest.mark.default
def test_commands_take_a_url(url: str, tmp_path: Path, monkeypatch, capsys) -> None:
    """Evaluated from one machine, read from another; nothing lies in the working folder."""
    assert cli.main([*EVALUATE, "--out", url]) == 0
    assert f"wrote {url}/runs/digits/resnet14_w4-learned" in capsys.readouterr().out
    written = far(tmp_path)
    assert {"leaderboard.csv", "leaderboard.md"} < written
    assert not [name for name in written if ".part" in name or name.startswith(".")]
    (tmp_path / "far" / "away" / "leaderboard.md").unlink()
    monkeypatch.setenv("RBMIX_HOME", str(tmp_path / "second"))
    assert cli.main(["leaderboard", url, "--json"]) == 0
    assert f"{url}/leaderboard.md" in json.loads(capsys.readouterr().out)["paths"]
    assert far(tmp_path) == written
    assert cli.main(["leaderboard", url, "--check"]) == 0
    assert not list((tmp_path / "work").iterdir())


@pytest.mark.default
def test_what_is_there_is_not_done_again(url: str, tmp_path: Path, monkeypatch, capsys) -> None:
    """By another machine either, which gets checkpoints from there too."""
    (tmp_path / "work" / "one.toml").write_text(
        '[[grid]]\nmodels = ["resnet14_w4"]\nspatial = ["learned"]\nattacks = ["smoke"]\n'
        "epochs = 1\ntrain_examples = 60\nexamples = 8\n"
    )
    # What is trained already goes there all the same: the others would train it again.
    assert cli.main(["train", *SMALL[:6]]) == 0
    assert cli.main(["sweep", "one.toml", "--out", url]) == 0
    assert len([name for name in far(tmp_path) if name.startswith("checkpoints/")]) == 1
    monkeypatch.setenv("RBMIX_HOME", str(tmp_path / "second"))
    capsys.readouterr()
    assert cli.main(["sweep", "one.toml", "--out", url, "--plan", "--json"]) == 0
    assert [p["done"] for p in json.loads(capsys.readouterr().out)["pieces"]] == [True, True]


def test_an_object_store(store: str, home: Path) -> None:
    """What is written there is seen, what is removed is gone, what stays here is not sent."""
    system = fsspec.filesystem("memory")
    folder = remote.local_folder(store)
    files.check_writable(folder)
    assert not system.exists("/bucket/results/.writable")
    files.write_text(folder / "runs" / "a.json", "one")
    files.write_text(folder / "runs" / "a.partial.json", "half")
    assert system.cat("/bucket/results/runs/a.json") == b"one"
    assert system.ls("/bucket/results/runs", detail=False) == ["/bucket/results/runs/a.json"]
    system.pipe("/bucket/results/runs/a.json", b"other")
    system.pipe("/bucket/results/runs/b.json", b"two")
    assert remote.local_folder(store + "/") == folder
    assert (folder / "runs" / "a.json").read_text() == "other"
    assert (folder / "runs" / "b.json").read_text() == "two"
    files.remove(folder / "runs" / "b.json")
    assert not system.exists("/bucket/results/runs/b.json")
    system.rm("/bucket/results/runs/a.json")
    remote.local_folder(store)
    assert not (folder / "runs" / "a.json").exists()
    assert (folder / "runs" / "a.partial.json").exists()
    assert remote.portable_name(folder) == store
    assert remote.display_name(folder / "runs" / "x") == f"{store}/runs/x"


def test_what_leads_elsewhere_is_not_fetched(store: str, home: Path) -> None:
    """Hidden files, our own notes, and names with dots stay where they are."""
    system = fsspec.filesystem("memory")
    for name in (".url", ".listing.json", "runs/.hidden", "checkpoints/big.safetensors"):
        system.pipe(f"/bucket/results/{name}", b"evil")
    folder = remote.local_folder(store)
    assert sorted(path.name for path in folder.rglob("*")) == [".listing.json", ".url"]
    assert (folder / ".url").read_text() == store
    assert not remote._is_result("../../outside")
    assert not remote._is_result("runs/../../outside")


def test_a_failing_store_leaves_nothing_here(store: str, home: Path, monkeypatch) -> None:
    """What could not be written there is not here either: the two never differ."""
    folder = remote.local_folder(store)

    def full(*args, **words):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "put_file", full)
    with pytest.raises(RbmixError, match="memory://bucket/results: .*No space left"):
        files.write_text(folder / "a.json", "one")
    assert sorted(path.name for path in folder.rglob("*")) == [".listing.json", ".url"]


@pytest.mark.parametrize("word", ["nowhere://bucket/results", "s3://bucket/results", "http://["])
def test_urls_that_cannot_be_reached(word: str, home: Path, capsys, monkeypatch) -> None:
    """They are named in one line, with what is missing; exit code 2."""
    monkeypatch.setitem(sys.modules, "s3fs", None)
    assert cli.main(["leaderboard", word]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert f"results folder {word}" in line


@pytest.mark.default
@pytest.mark.parametrize("kind", [pytest.param("path", marks=pytest.mark.slow), "url"])
def test_machines_that_do_not_see_each_other(kind: str, url: str, tmp_path: Path) -> None:
    """Two with caches of their own, at the same sweep into one folder: as one alone, twice over."""
    (tmp_path / "work" / "one.toml").write_text(
        '[[grid]]\nmodels = ["resnet14_w4"]\nspatial = ["learned", "frozen"]\nattacks = ["smoke"]\n'
        "epochs = 1\ntrain_examples = 60\nexamples = 8\n"
    )
    shared = url if kind == "url" else str(tmp_path / "far" / "away")
    command = [sys.executable, "-P", "-m", "robustbench_mix", "sweep", "one.toml", "--out"]
    fixed = {**os.environ, "OMP_NUM_THREADS": "1", "SOURCE_DATE_EPOCH": "1800000000"}
    machines = [
        subprocess.Popen([*command, folder], env={**fixed, "RBMIX_HOME": str(tmp_path / name)},
                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for name, folder in (("a", shared), ("b", shared), ("c", str(tmp_path / "alone")))
    ]  # fmt: skip
    for machine in machines:
        assert machine.communicate(timeout=300)[1].count("trained in") == 2
        assert machine.returncode == 0
    found, wanted = (
        {
            name: (folder / name).read_bytes()
            for name in map(str, (path.relative_to(folder) for path in folder.rglob("*.*")))
            if not name.endswith(".json") and not name.startswith("checkpoints")
        }
        for folder in (tmp_path / "far" / "away", tmp_path / "alone")
    )
    assert found == wanted
    assert {"leaderboard.csv", "leaderboard.md"} < found.keys()
