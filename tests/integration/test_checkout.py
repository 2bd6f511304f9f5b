"""A clean clone stays clean: what runs in a checkout does not join its committed evidence."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from robustbench_mix import cli
from robustbench_mix.results import records
from robustbench_mix.storage import paths

pytestmark = pytest.mark.default

SMALL = ["--model", "resnet14_w4", "--epochs", "1", "--train-examples", "100"]
EVALUATE = ["evaluate", *SMALL, "--attack", "smoke", "--examples", "10"]
SAID = "in this checkout of rbmix results are kept in "


def git(folder: Path, *words: str) -> str:
    """What git answers in a folder."""
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    command = ["git", *identity, *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture
def clone(checkout: Path, tmp_path: Path, monkeypatch, cached: Path) -> Path:
    """A repository with what makes this one recognisable, and one file of evidence."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    folder = tmp_path / "clone"
    (folder / "docs").mkdir(parents=True)
    (folder / "results").mkdir()
    (folder / "results" / "leaderboard.md").write_text("evidence")
    (folder / "docs" / "page.md").write_text("page")
    for name in ("pyproject.toml", ".gitignore"):
        (folder / name).write_bytes((checkout / name).read_bytes())
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "x")
    monkeypatch.chdir(folder)
    return folder


def test_evaluating_leaves_a_clone_clean(clone: Path, capsys) -> None:
    """All is in the ignored folder, which is said in one line; commands that read find it."""
    assert cli.main(EVALUATE) == 0
    out, err = capsys.readouterr()
    assert err.count(SAID) == 1
    assert f"{SAID}{paths.LOCAL_RESULTS}, apart" in err
    assert f"wrote {paths.LOCAL_RESULTS}/leaderboard.csv" in out
    assert git(clone, "status", "--porcelain") == ""
    assert len(records.read_all(clone / paths.LOCAL_RESULTS)) == 1
    assert cli.main(["leaderboard", "--check"]) == 0
    assert cli.main(["claims"]) == 0
    assert cli.main(["report"]) == 0
    assert "evidence" in (clone / "results" / "leaderboard.md").read_text()
    assert git(clone, "status", "--porcelain") == ""


def test_other_commands_too(clone: Path, make_run, capsys) -> None:
    """What trains, measures, plans and exports."""
    assert cli.main(["train", *SMALL]) == 0
    words = ["explain", *SMALL, "--examples", "10", "--eps", "1/16", "--spatial", "learned"]
    assert cli.main(words) == 0
    assert cli.main(["baseline", *SMALL, "--attack", "smoke", "--examples", "10"]) == 0
    assert list((clone / paths.LOCAL_RESULTS / "baselines").glob("*.csv"))
    run = make_run([0, 1, 2], protocol="autoattack", protocol_spec={"algorithm": "autoattack"})
    records.write(run, records.run_path(clone / paths.LOCAL_RESULTS, run.header, "k"))
    assert cli.main(["export", "--eps", "1/255"]) == 0
    assert git(clone, "status", "--porcelain") == ""


def test_a_folder_that_is_named_is_taken(clone: Path, capsys) -> None:
    """Also the evidence, for those who mean it; nothing is said then."""
    assert cli.main(["leaderboard", "results"]) == 2  # no records in it
    assert "results holds no records" in capsys.readouterr().err
    assert cli.main([*EVALUATE, "--out", "results"]) == 0
    assert SAID not in capsys.readouterr().err
    assert "results/leaderboard.md" in git(clone, "status", "--porcelain")


def test_json_and_quiet_say_nothing_of_it(clone: Path, capsys) -> None:
    """One value, which names the files; or silence."""
    assert cli.main([*EVALUATE, "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert json.loads(out)["records"].startswith(f"{paths.LOCAL_RESULTS}/runs/")
    assert cli.main([*EVALUATE, "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


def test_a_wrong_word_is_still_one_line(clone: Path, capsys) -> None:
    """Where results would go is no news then."""
    assert cli.main(["evaluate", "--model", "resnet81"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_folders_within_the_clone_share_one_place(clone: Path, monkeypatch) -> None:
    """At the root of the repository."""
    monkeypatch.chdir(clone / "docs")
    assert paths.default_results_folder() == clone / paths.LOCAL_RESULTS
    monkeypatch.chdir(clone)
    assert paths.default_results_folder() == Path(paths.LOCAL_RESULTS)


def test_elsewhere_results_are_in_results(clone: Path, tmp_path: Path, monkeypatch) -> None:
    """In a plain folder, in a repository of somebody else, also one inside the clone."""
    monkeypatch.chdir(tmp_path)
    assert paths.default_results_folder() == Path("results")
    inner = clone / "docs" / "mine"
    inner.mkdir()
    git(inner, "init", "-q")
    monkeypatch.chdir(inner)
    assert paths.default_results_folder() == Path("results")
    for text in ('[project]\nname = "other"\n', "project = 3\n", "[broken", "\x00"):
        (inner / "pyproject.toml").write_text(text)
        assert paths.default_results_folder() == Path("results")


def test_an_unpacked_source_distribution_is_one_too(checkout: Path, tmp_path, monkeypatch) -> None:
    """It has the evidence, but no repository: its root counts."""
    (tmp_path / "pyproject.toml").write_bytes((checkout / "pyproject.toml").read_bytes())
    (tmp_path / "docs").mkdir()
    monkeypatch.chdir(tmp_path)
    assert paths.default_results_folder() == Path(paths.LOCAL_RESULTS)
    monkeypatch.chdir(tmp_path / "docs")
    assert paths.default_results_folder() == Path("results")
