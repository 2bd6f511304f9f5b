"""What counts as broken within an attack, and who leaves the batch when."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from robustbench_mix.algorithms import ladders, watch
from robustbench_mix.algorithms.attack import Target
from robustbench_mix.algorithms.watch import Watch


class Mean(nn.Module):
    """Class 1 where the mean pixel is above a threshold."""

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.threshold = threshold

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        value = x.mean((1, 2, 3)) - self.threshold
        return torch.stack([-value, value], 1)


def flat(values: list[float]) -> torch.Tensor:
    """One-pixel images."""
    return torch.tensor(values)[:, None, None, None]


def test_the_judge_decides_and_the_doubtful_are_asked_about() -> None:
    """Suspected and refused, close and broken, sure: only the judge's verdict counts."""
    target = Target(Mean(0.5), judge=Target(Mean(0.45)), doubt=2.0, images=4)
    strict = Target(Mean(0.5), judge=Target(Mean(0.6)), doubt=0.0, images=4)
    x, y = flat([0.1, 0.2, 0.3, 0.4]), torch.zeros(4, dtype=torch.int64)
    point = flat([0.55, 0.1, 0.49, 0.3])
    for searched, broken in ((target, [0, 2]), (strict, [])):
        following = Watch(searched, x, y, early_stop=True)
        following.see(point, searched(point))
        found = [row for row in range(4) if not torch.equal(following.found[row], x[row])]
        assert found == broken
        assert following.row.tolist() == [row for row in range(4) if row not in broken]
        assert len(following.target.images) == 4 - len(broken)


def test_the_merely_close_are_asked_about_at_new_lows_only() -> None:
    """A point as close as one that was refused costs no second verdict."""
    judge = Target(Mean(0.9), images=1)
    target = Target(Mean(0.5), judge=judge, doubt=10.0, images=1)
    following = Watch(target, flat([0.0]), torch.zeros(1, dtype=torch.int64), early_stop=True)
    spent = []
    for value in (0.40, 0.40, 0.39, 0.41):
        logits = target(flat([value]))
        before = target.passes.forward
        following.see(flat([value]), logits)
        spent.append(target.passes.forward - before)
    assert spent == [1, 0, 0, 1]


@pytest.mark.parametrize("every", [1, 4, 1000])
@pytest.mark.parametrize("name", ["apgd-ce", "apgd-t", "fab-t", "square", "pgd"])
def test_looking_rarely_finds_the_same_images(linear_case, monkeypatch, name, every) -> None:
    """What leaves late is found all the same; the cadence only saves waiting."""
    monkeypatch.setattr(watch, "LOOK_EVERY", {"cpu": every})
    model, split = linear_case(10)
    x, y = split.pixels(), split.labels
    rungs = (
        ladders.pgd(10, restarts=1)
        if name == "pgd"
        else ladders.autoattack(10, components=[name], queries=200)
    )
    target, eps = Target(model, images=len(x)), torch.full((len(x),), 0.03)
    x_adv = rungs[0].attack(target, x, y, torch.arange(len(x)), eps=eps, norm="linf")
    broken = model(x_adv).argmax(1) != y
    reachable = model.distances(x, y, "linf") < 0.03
    assert not (broken & ~reachable).any()
    if name != "square":
        assert (broken == (model.distances(x, y, "linf") < 0.03 * 0.97)).float().mean() > 0.9
    assert broken.any()
    assert target.passes.each.sum(1).tolist() == [target.passes.forward, target.passes.gradient]


def test_copies_of_an_image_leave_together() -> None:
    """The first copy that is broken settles its image; the passes of all are the image's."""
    target = Target(Mean(0.5), images=2)
    copies = target.take(torch.tensor([0, 0, 0, 1, 1, 1]))
    x, y = flat([0.1] * 6), torch.zeros(6, dtype=torch.int64)
    following = Watch(copies, x, y, early_stop=True, copies=3)
    point = flat([0.2, 0.6, 0.3, 0.2, 0.2, 0.2])
    keep = following.see(point, copies(point))
    assert keep.tolist() == [False] * 3 + [True] * 3
    assert following.row.tolist() == [3, 4, 5]
    assert [float(one) for one in following.found.flatten()] == pytest.approx(
        [0.1, 0.6] + [0.1] * 4
    )
    following.target(flat([0.2] * 3))
    assert target.passes.each[0].tolist() == [3, 6]
