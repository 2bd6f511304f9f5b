"""The words of the command that measures speed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from robustbench_mix.benchmarks import run, table

MEASURED = {"pgd": table.Part("a machine", [table.Row("a curve", "a peer", "≥ 3x", [3.0])])}


def test_words_are_handed_on_and_the_table_is_printed(
    rbmix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Markdown for people, as JSON for programs, or not at all."""
    given: list[dict] = []
    monkeypatch.setattr(run, "run_benchmarks", lambda **words: given.append(words) or MEASURED)
    words = ["bench", "--parts", "pgd, steps", "--examples", 3, "--quick", "--out", tmp_path]
    assert rbmix(*words) == (0, table.to_markdown(MEASURED) + "\n", "")
    code, out, _ = rbmix(*words, "--json")
    assert (code, json.loads(out)) == (0, table.to_json(MEASURED))
    assert rbmix(*words, "--quiet") == (0, "", "")
    assert given == [
        {
            "dataset": "digits", "examples": 3, "precision": "auto", "device": "auto",
            "parts": ["pgd", "steps"], "quick": True, "results": tmp_path,
        }
    ] * 3  # fmt: skip


def test_wrong_words_measure_nothing(rbmix, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are found before."""
    monkeypatch.setattr(run, "run_benchmarks", lambda **_: pytest.fail("it was started"))
    code, out, err = rbmix("bench", "--parts", "pdg")
    assert (code, out) == (2, "")
    assert "part 'pdg' is not one of" in err
