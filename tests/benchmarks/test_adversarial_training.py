"""What is compared of adversarial training. Nothing about seconds."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from robustbench_mix.benchmarks import adversarial_training
from robustbench_mix.config import protocols
from robustbench_mix.config.training import Adversarial, NFgsm
from robustbench_mix.data.dataset import Split

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


class Brighter(nn.Module):
    """Whether the mean is above a threshold: an image is robust as far as it is from it.

    Eight other classes are never close.
    """

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.threshold = nn.Parameter(torch.tensor(threshold))

    def forward(self, x: Tensor) -> Tensor:
        excess = x.mean((1, 2, 3)) - self.threshold
        return torch.stack([-excess, excess, *[excess * 0 - 9] * 8], dim=1)


def test_accuracies_are_those_under_the_attack() -> None:
    """One for each seed; those of the last weights are in the note."""
    images = torch.tensor([40, 70, 130, 160], dtype=torch.uint8).view(4, 1, 1, 1).expand(4, 1, 4, 4)
    split = Split(images.contiguous(), torch.tensor([0, 0, 1, 1]), torch.arange(4), 255)
    protocol = protocols.load("autoattack", "tiny", eps=["40/255"])
    networks = [Brighter(value / 255).eval() for value in (100, 60, 85)]
    row = adversarial_training.accuracy_row("w", networks[:2], networks[2:], split, protocol, CPU)
    assert (row.values, row.unit) == ([50.0, 50.0], " %")
    assert row.note == "4 images; last weights 75.0"
    assert "at 40/255, w, averaged" in row.work
