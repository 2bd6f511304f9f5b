"""Normalisations beside a network in a file of weights."""

from __future__ import annotations

import pytest
import torch

from robustbench_mix.models.normalizers import normalizers

MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


@pytest.mark.parametrize(
    ("module", "first", "second"),
    [
        ("normalizer", "new_mean", "new_std"),
        ("0", "mean", "std"),
        ("", "mu", "sigma"),
        ("model.normalize", "_mean", "_std"),
    ],
)
def test_the_names_of_libraries(module: str, first: str, second: str) -> None:
    """Values keep their decimals, in whatever shape they are stored."""
    start = f"{module}." if module else ""
    (found,) = normalizers({start + first: MEAN.reshape(1, 3, 1, 1), start + second: STD})
    assert (found.module, found.mean) == (module, (0.485, 0.456, 0.406))
    assert found.std == (0.229, 0.224, 0.225)


@pytest.mark.parametrize(
    ("mean", "std"),
    [
        (255 * MEAN, 255 * STD),
        (MEAN, torch.zeros(3)),
        (MEAN, STD[:1]),
        (torch.zeros(64), torch.ones(64)),
        (torch.zeros(3, dtype=torch.int64), torch.ones(3, dtype=torch.int64)),
        (torch.tensor([float("nan")]), torch.ones(1)),
    ],
)
def test_other_tensors_are_none(mean: torch.Tensor, std: torch.Tensor) -> None:
    """Another scale, no division, other channels: a wrong normalisation is worse than none."""
    assert normalizers({"n.mean": mean, "n.std": std}) == []
    assert normalizers({"n.mean": MEAN}) == []
