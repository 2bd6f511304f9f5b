"""Words of the commands that run many trainings."""

from __future__ import annotations

from pathlib import Path

import pytest

from robustbench_mix.config.model import Unshuffler
from robustbench_mix.config.training import Training

INTERRUPTED = 130


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)


def test_words_of_an_un_shuffling_are_every_combination(rbmix, planned) -> None:
    """Of width, depth, kernel and mixers."""
    given = planned("robustbench_mix.evaluation.unshuffling_run.unshuffle")
    words = ["--width", "4,8", "--depth", 1, "--kernel", "3", "--seed", 5, "--patch", 2]
    words += ["--examples", 20, "--epochs", 1, "--lr", "0.1", "--out", "there", "--device", "cpu"]
    assert rbmix("unshuffle", *words)[0] == INTERRUPTED
    ((plan, results),) = given
    assert set(plan.unshufflers) == {
        Unshuffler(width, 1, 3, 2, spatial, seed=5)
        for width in (4, 8)
        for spatial in ("learned", "frozen")
    }
    assert len(plan.unshufflers) == 4
    assert plan.training == Training(epochs=1, lr=0.1)
    assert (plan.data.examples, plan.device, results) == (20, "cpu", Path("there"))


def test_words_of_a_sweep_replace_those_of_its_file(rbmix, planned) -> None:
    """What is not given stays as the file has it."""
    given = planned("robustbench_mix.sweeps.cell_plans.plan_sweep")
    words = ["--dataset", "digits", "--models", "resnet14, resnet20", "--seeds", "0,4"]
    words += ["--attacks", "fgsm", "--examples", 5, "--epochs", 1, "--train-examples", 60]
    code, _, _ = rbmix("sweep", "fig8", *words, "--device", "cpu", "--precision", "fp32")
    assert code == INTERRUPTED
    assert rbmix("sweep", "fig8", "--dataset", "digits")[0] == INTERRUPTED
    (changed, device, precision), (whole, *_) = given
    assert (changed.name, device, precision) == ("fig8", "cpu", "fp32")
    cells = changed.cells
    assert {(cell.spec.model, cell.spec.seed) for cell in cells} == {
        (model, seed) for model in ("resnet14", "resnet20") for seed in (0, 4)
    }
    assert {(cell.attacks, cell.examples, cell.dataset) for cell in cells} == {
        (("fgsm",), 5, "digits")
    }
    assert {(cell.training.epochs, cell.training.examples) for cell in cells} == {(1, 60)}
    assert len(whole.cells) > len(cells)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing"], "unknown sweep 'nothing'"),
        (["quick", "--seeds", "one"], "'one' is not a list of whole numbers"),
        (["quick", "--workers", "0"], "number of workers 0 must be at least 1"),
        (["quick", "--address", "head:1"], "--address head:1 goes with --runner ray"),
        (["quick", "--runner", "rai"], "did you mean 'ray'"),
    ],
)
def test_wrong_words_of_a_sweep_are_named(rbmix, words: list[str], message: str) -> None:
    """One line, exit code 2, nothing written."""
    code, out, err = rbmix("sweep", *words)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert not list(Path().iterdir())
