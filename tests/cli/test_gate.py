"""The commands of the regression gate: their plan, and what GitHub is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from robustbench_mix.cli import gate
from robustbench_mix.errors import RbmixError

INTERRUPTED = 130


def test_words_of_a_baseline_are_all_in_its_plan(rbmix, planned, tmp_path, monkeypatch) -> None:
    """It lies in a folder of its own beside the results."""
    monkeypatch.chdir(tmp_path)
    given = planned("robustbench_mix.evaluation.regression_gate.write")
    words = ["--model", "resnet14", "--spatial", "frozen", "--attack", "fgsm", "--seed", 2]
    words += ["--eps", "1/255", "--batch-size", 5, "--epochs", 1, "--device", "cpu"]
    assert rbmix("baseline", *words)[0] == INTERRUPTED
    assert rbmix("baseline", *words, "--examples", 9, "--out", "x", "--replace")[0] == INTERRUPTED
    (plan, folder, options), (other, named, replacing) = given
    assert (plan.data.examples, other.data.examples) == (64, 9)
    assert (folder, named) == (Path("results/baselines"), Path("x"))
    assert (options, replacing) == ({"overwrite": False}, {"overwrite": True})
    assert (plan.model.spec.spatial, plan.model.spec.seed) == ("frozen", 2)
    assert (plan.model.training.epochs, plan.device) == (1, "cpu")
    assert (plan.attack.word, plan.attack.batch_size) == ("fgsm", 5)
    assert [eps.text for eps in plan.attack.protocol.eps] == ["1/255"]


@pytest.mark.parametrize("aside", [False, True])
def test_github_gets_its_commands_and_a_summary(
    aside: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    """Beside JSON they go to standard error; the summary is added to what is there."""
    page = tmp_path / "summary.md"
    page.write_text("before\n")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    gate._tell_github(["::error::a", "::error::b"], "after\n", aside=aside)
    out, err = capsys.readouterr()
    told, other = (err, out) if aside else (out, err)
    assert (told, other) == ("::error::a\n::error::b\n", "")
    assert page.read_text() == "before\nafter\n"


def test_elsewhere_nobody_is_told(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """Not on other machines, nor where the variable says no."""
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    for value in ("", "false"):
        monkeypatch.setenv("GITHUB_ACTIONS", value)
        gate._tell_github(["::error::a"], "after\n", aside=False)
    assert capsys.readouterr() == ("", "")


def test_a_summary_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the reason of the system."""
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "nowhere" / "x.md"))
    with pytest.raises(RbmixError, match=r"^cannot write .*x\.md: No such file"):
        gate._tell_github([], "after\n", aside=False)
