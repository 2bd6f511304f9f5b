"""What is compared of adversarial training. Nothing about seconds."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from robustbench_mix.benchmarks import adversarial_training
from robustbench_mix.config.training import Adversarial, NFgsm

CPU = torch.device("cpu")


def test_both_steps_make_their_examples_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A warm-up and one repetition of each, the fast one in the numerator."""
    made: list[object] = []
    inner = adversarial_training.perturb

    def counting(model, x, y, how, generator, autocast) -> Tensor:
        made.append(how)
        return inner(model, x, y, how, generator, autocast)

    monkeypatch.setattr(adversarial_training, "perturb", counting)
    row = adversarial_training.step_row("resnet14_w4", 8, 4, CPU, 1)
    assert made == [NFgsm("8/255"), Adversarial("8/255")] * 2
    assert len(row.values) == 1
    assert row.unit == "x"


def test_accuracies_are_those_under_the_attack(make_run) -> None:
    """One for each seed, at the epsilon; those of the last weights are in the note."""
    averaged = [make_run([2, 2, 1, 0]), make_run([2, 0, 0, 0])]
    last = [make_run([2, 2, 2, 0], correct=[True, True, False, True])]
    row = adversarial_training.accuracy_row("w", averaged, last, "2/255")
    assert (row.values, row.unit) == ([50.0, 25.0], " %")
    assert row.note == "4 images; last weights 50.0"
    assert "at 2/255, w, averaged" in row.work
