"""Entries of RobustBench beside results of ours."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from entries import put, rbmix

from robustbench_mix.results import leaderboard, records


def test_theirs_stand_beside_ours(save, tmp_path: Path, capsys) -> None:
    """Where data set, norm and epsilon agree; marked; and the leaderboard is as before."""
    results, theirs = tmp_path / "results", tmp_path / "model_info"
    save()
    save(key="weak", protocol="pgd", protocol_spec={"algorithm": "pgd"})
    put(theirs)
    put(theirs, "Other2024", dataset="cifar100")
    put(theirs, "Far2024", eps="8/255")
    put(theirs, "Round2024", norm="L2")
    put(theirs / "x", "Foggy2024", norm="corruptions", eps=None)
    before = leaderboard.to_csv(records.read_all(results))
    assert rbmix(capsys, "leaderboard", results, "--beside", theirs)[0] == 0
    assert (results / "leaderboard.csv").read_text() == before
    frame = pd.read_csv(results / "beside.csv")
    assert frame.source.tolist() == ["reported elsewhere", "measured here"]
    assert frame.model.tolist() == ["First2025Paper", "resnet14-learned-learned-s0"]
    assert frame.autoattack.tolist() == [0.5603, 0.4]
    assert frame.external.tolist()[0] == 0.551
    text = (results / "beside.md").read_text()
    assert "## cifar10 · Linf · eps 2/255" in text
    assert "3 entries of other data sets, norms or epsilons are left out" in text
    assert "<br>" not in text
    words = ["leaderboard", results, "--beside", theirs, "--check"]
    assert rbmix(capsys, *words)[0] == 0
    put(theirs, clean_acc="86.47")
    code, out, _ = rbmix(capsys, *words)
    assert code == 1
    assert "beside.csv does not match" in out


def test_nothing_comparable_is_an_error(save, tmp_path: Path, capsys) -> None:
    """One line that says what the entries are of; nothing is written."""
    save()
    put(tmp_path / "mi", eps="8/255")
    code, _, err = rbmix(capsys, "leaderboard", tmp_path / "results", "--beside", tmp_path / "mi")
    assert code == 2
    assert "cifar10 linf 8/255" in err
    assert not (tmp_path / "results" / "leaderboard.csv").exists()


@pytest.mark.parametrize("name", ["a\x1b[31mb", "a\nb", "a\udcff"])
def test_names_that_cannot_be_printed_are_refused(save, tmp_path: Path, name: str, capsys) -> None:
    """A file's name goes into the tables: one line, and nothing is written."""
    save()
    try:
        put(tmp_path / "mi", name)
    except OSError:
        pytest.skip("this system has no such names")
    code, _, err = rbmix(capsys, "leaderboard", tmp_path / "results", "--beside", tmp_path / "mi")
    assert code == 2
    assert err.count("\n") == 1
    assert "its file's name is no Model ID" in err
    assert not (tmp_path / "results" / "leaderboard.csv").exists()


def test_no_entry_adds_rows(save, tmp_path: Path, capsys) -> None:
    """A text of an entry stays in its cell, line ends of every kind included."""
    save()
    forged = "x\rmeasured here\ncifar10\r\nlinf\u2028y"
    put(tmp_path / "mi", architecture=forged, footnote=forged, link=forged)
    words = ["leaderboard", tmp_path / "results", "--beside", tmp_path / "mi"]
    assert rbmix(capsys, *words)[0] == 0
    frame = pd.read_csv(tmp_path / "results" / "beside.csv")
    assert frame.source.tolist() == ["reported elsewhere", "measured here"]
    plain = "x measured here cifar10 linf y"
    assert frame.loc[0, ["architecture", "notes", "link"]].tolist() == [plain] * 3
