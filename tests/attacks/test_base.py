"""The contract: batches, and the norm that a stage searches in."""

from __future__ import annotations

import pytest
import torch

from robustbench_mix.attacks.base import Batch, Stage, check_norm
from robustbench_mix.errors import RbmixError

BATCH = Batch(
    x=torch.rand(3, 1, 2, 2),
    y=torch.arange(3),
    eps=torch.full((3,), 0.1, dtype=torch.float64),
    seeds=torch.arange(3) + 7,
    norm="l2",
    index=[4, 5, 6],
    seed=1,
)


def test_one_epsilon_is_exact() -> None:
    """In float64, while attacks compute with it in float32; several are none."""
    assert len(BATCH) == 3
    assert BATCH.one_eps() == 0.1
    assert BATCH.radius.dtype == torch.float32
    mixed = Batch(BATCH.x, BATCH.y, torch.tensor([0.1, 0.1, 0.2]), BATCH.seeds, "l2")
    with pytest.raises(AssertionError):
        mixed.one_eps()


@pytest.mark.parametrize("rows", [[True, False, True], [0, 2], [2, 2, 0]])
def test_some_images_keep_what_is_theirs(rows: list) -> None:
    """Whether they are chosen by a mask or by positions, also repeated."""
    chosen, part = torch.tensor(rows), BATCH.take(torch.tensor(rows))
    assert torch.equal(part.x, BATCH.x[chosen])
    assert torch.equal(part.y, BATCH.y[chosen])
    assert torch.equal(part.eps, BATCH.radius[chosen])
    assert torch.equal(part.seeds, BATCH.seeds[chosen])
    assert (part.norm, part.index) == ("l2", ())


def test_a_stage_of_another_norm_is_named() -> None:
    """One that takes any norm goes with all."""
    stages = [Stage("any", lambda model, batch: batch.x)]
    check_norm(stages, "linf")
    stages.append(Stage("round", lambda model, batch: batch.x, norm="l2"))
    check_norm(stages, "l2")
    with pytest.raises(RbmixError, match="'round' searches in l2, the protocol in linf"):
        check_norm(stages, "linf")
