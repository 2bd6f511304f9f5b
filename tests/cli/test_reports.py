"""The commands that list what there is, and that derive tables."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from robustbench_mix.results import leaderboard, records


@pytest.fixture
def results(tmp_path: Path, make_run) -> Path:
    """A results folder with the records of one run and its leaderboard."""
    run = make_run([0, 1, 2])
    records.write(run, records.run_path(tmp_path, run.header, "k"))
    leaderboard.write(tmp_path)
    return tmp_path


def test_attacks_are_listed(rbmix) -> None:
    """Every protocol, for people and for programs."""
    names = [p["name"] for p in json.loads(rbmix("attacks", "--json")[1])]
    out = rbmix("attacks")[1]
    assert all(name in out for name in names)


def test_a_check_says_that_nothing_is_stale(rbmix, results: Path) -> None:
    """With exit code 0; nothing where it is to be quiet."""
    words = ["leaderboard", results, "--check"]
    assert rbmix(*words) == (0, f"{results}: leaderboard up to date with the records\n", "")
    assert rbmix(*words, "--quiet") == (0, "", "")
    assert json.loads(rbmix(*words, "--json")[1]) == {"stale": []}


def test_a_check_names_what_is_stale(rbmix, results: Path) -> None:
    """With exit code 1, also where it is to be quiet; it is left as it is."""
    path = results / "leaderboard.csv"
    path.write_text("old\n")
    line = f"{path} does not match the records (rbmix leaderboard {results} rewrites it)\n"
    for quiet in ([], ["--quiet"]):
        assert rbmix("leaderboard", results, "--check", *quiet) == (1, line, "")
    code, out, _ = rbmix("leaderboard", results, "--check", "--json")
    assert (code, json.loads(out)) == (1, {"stale": [str(path)]})
    assert path.read_text() == "old\n"


@pytest.mark.parametrize("command", ["leaderboard", "claims", "report"])
def test_a_folder_that_is_not_there_is_named(rbmix, command: str, tmp_path: Path) -> None:
    """One line, exit code 2."""
    code, out, err = rbmix(command, tmp_path / "nowhere")
    assert (code, out) == (2, "")
    assert err == f"rbmix: results folder {tmp_path / 'nowhere'} does not exist\n"
