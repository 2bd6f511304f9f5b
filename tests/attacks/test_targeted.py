"""All runner-up classes of an image at once: copies, and which of them decides."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from robustbench_mix.attacks.base import Batch
from robustbench_mix.attacks.counted_model import CountedModel
from robustbench_mix.attacks.native.targeted import attack_runners_up

LOGITS = torch.tensor([[9.0, 7.0, 8.0, 1.0], [1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 8.0, 7.0]])


class Fixed(nn.Module):
    """Answers by the first pixel, which is the number of the image in tenths."""

    def forward(self, x: Tensor) -> Tensor:
        return LOGITS[(10 * x[:, 0, 0, 0]).round().long()]


def batch_of() -> Batch:
    """Three images, of which each knows its number."""
    x = (torch.arange(3) / 10)[:, None, None, None].expand(3, 1, 1, 2).clone()
    return Batch(x, torch.tensor([0, 3, 2]), torch.tensor([0.1, 0.2, 0.3]), torch.arange(3), "l2")


@pytest.mark.parametrize("capacity", [1, 4, 256])
def test_the_likelier_class_decides(capacity: int) -> None:
    """Of several copies that were moved the first; what was not moved is the image."""
    calls: list[Batch] = []

    def attack(model: CountedModel, copies: Batch, target: Tensor) -> Tensor:
        calls.append(copies)
        moved = copies.x.clone()
        number = (10 * copies.x[:, 0, 0, 0]).round().long()
        # The first image falls towards both of its runners-up, the third towards class 1 alone.
        falls = (number == 0) | ((number == 2) & (target == 1))
        moved[falls, 0, 0, 1] = 0.5 + target[falls] / 100
        return moved

    batch = batch_of()
    model = CountedModel(Fixed(), images=3, capacity=capacity)
    found = attack_runners_up(model, batch, attack=attack, targets=2)
    assert found[:, 0, 0, 1].tolist() == pytest.approx([0.52, 0.1, 0.51])
    assert torch.equal(found[:, 0, 0, 0], batch.x[:, 0, 0, 0])
    assert all(len(copies) <= max(capacity, 2) for copies in calls)
    assert sum(map(len, calls)) == 6


def test_a_copy_has_what_its_image_has() -> None:
    """Label and radius; but random numbers of its own, whatever the batch."""
    seen: list[tuple[Batch, Tensor, Tensor]] = []

    def attack(model: CountedModel, copies: Batch, target: Tensor) -> Tensor:
        seen.append((copies, target, model.images))
        return copies.x

    for rows in ([0, 1, 2], [2]):
        batch = batch_of().take(torch.tensor(rows))
        model = CountedModel(Fixed(), images=len(rows))
        assert torch.equal(attack_runners_up(model, batch, attack=attack, targets=3), batch.x)
    copies, target, images = seen[0]
    assert images.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert target.tolist() == [2, 1, 3, 2, 1, 0, 3, 1, 0]
    assert copies.y.tolist() == [0, 0, 0, 3, 3, 3, 2, 2, 2]
    assert copies.eps.tolist() == pytest.approx([0.1] * 3 + [0.2] * 3 + [0.3] * 3)
    assert len(copies.seeds.unique()) == 9
    assert torch.equal(seen[1][0].seeds, copies.seeds[-3:])
