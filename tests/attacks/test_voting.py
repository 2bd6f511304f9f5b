"""Verdicts on a network that draws: by the majority of several passes."""

from __future__ import annotations

import torch
from torch import nn

from robustbench_mix.attacks.counted_model import CountedModel
from robustbench_mix.attacks.voting import (
    draw_logits,
    majority_is_wrong,
    majority_label,
    mean_margins,
)


def test_verdicts_are_votes() -> None:
    """Wrong in more than half of the passes; a tie speaks for the network."""
    y = torch.tensor([0, 0, 0])
    given = [[0, 0, 0, 0], [0, 0, 1, 2], [0, 1, 2, 2]]  # each image's answers in four passes
    logits = nn.functional.one_hot(torch.tensor(given).T, 3).float()
    assert majority_is_wrong(logits, y).tolist() == [False, False, True]
    assert majority_label(logits, y).tolist() == [0, 0, 2]
    assert majority_label(logits[:1], torch.tensor([1, 1, 1])).tolist() == [0, 0, 0]


def test_the_majority_names_a_class() -> None:
    """The label unless it lost; else the most frequent of the others."""
    answers = torch.tensor([[0, 1, 1, 2, 2], [0, 0, 0, 2, 2], [2, 2, 2, 2, 1]])
    logits = nn.functional.one_hot(answers.T, 3).float()
    assert majority_label(logits, torch.tensor([0, 0, 0])).tolist() == [1, 0, 2]


def test_margins_are_means_over_the_draws() -> None:
    """In float64: of one draw the margin itself."""
    logits = torch.tensor([[[3.0, 1.0, 0.0]], [[0.0, 4.0, 1.0]]])
    y = torch.tensor([0])
    found = mean_margins(logits, y)
    assert found.dtype == torch.float64
    assert found.tolist() == [(2 - 4) / 2]
    assert mean_margins(logits[:1], y).tolist() == [2]


def test_draws_are_passes_that_are_counted() -> None:
    """So many of the same images, without gradients."""
    torch.manual_seed(0)

    class Noisy(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.flatten(1) + torch.randn(len(x), 4)

    judge = CountedModel(Noisy(), images=2)
    logits = draw_logits(judge, torch.zeros(2, 1, 2, 2, requires_grad=True), 3)
    assert logits.shape == (3, 2, 4)
    assert not logits.requires_grad
    assert not torch.equal(logits[0], logits[1])
    assert judge.passes.each.tolist() == [[3, 3], [0, 0]]
