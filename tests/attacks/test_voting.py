"""Verdicts on a network that draws: by the majority of several passes."""

from __future__ import annotations

import torch
from torch import nn

from robustbench_mix.attacks.voting import majority_is_wrong, majority_label


def test_verdicts_are_votes() -> None:
    """Wrong in more than half of the passes; a tie speaks for the network."""
    y = torch.tensor([0, 0, 0])
    given = [[0, 0, 0, 0], [0, 0, 1, 2], [0, 1, 2, 2]]  # each image's answers in four passes
    logits = nn.functional.one_hot(torch.tensor(given).T, 3).float()
    assert majority_is_wrong(logits, y).tolist() == [False, False, True]
    assert majority_label(logits, y).tolist() == [0, 0, 2]
    assert majority_label(logits[:1], torch.tensor([1, 1, 1])).tolist() == [0, 0, 0]
