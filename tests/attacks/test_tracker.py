"""What counts as broken within an attack, and who leaves the batch when."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from robustbench_mix.attacks.base import Target
from robustbench_mix.attacks.native import ensembles, tracker
from robustbench_mix.attacks.native.tracker import Watch


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
    monkeypatch.setattr(tracker, "LOOK_EVERY", {"cpu": every})
    model, split = linear_case(10)
    x, y = split.pixels(), split.labels
    rungs = (
        ensembles.pgd(10, restarts=1)
        if name == "pgd"
        else ensembles.autoattack(10, components=[name], queries=200)
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


class Three(Mean):
    """With a third class far below, so that the spread of the logits is about ten."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        low = torch.full((len(x), 1), -10.0)
        return torch.cat([super().forward(x), low], 1)


def test_near_is_close_and_not_settled() -> None:
    """By the closest point within the ball; a broken copy settles its image."""
    target = Target(Three(0.5), judge=Target(Three(0.5)), images=6)
    x, y = flat([0.0] * 6), torch.zeros(6, dtype=torch.int64)
    following = Watch(target, x, y, early_stop=False, copies=2)
    within = torch.tensor([True, True, True, True, False, True])
    point = flat([0.45, 0.3, 0.6, 0.45, 0.45, 0.2])
    following.see(point, target(point), within)
    following.see(flat([0.1] * 6), target(flat([0.1] * 6)))
    # Margin 0.1 of a spread of about 10; the second image is broken, the third outside.
    assert following.near.tolist() == [True, False, False, False, False, False]


@pytest.mark.parametrize("name", ["apgd-ce", "pgd"])
def test_what_comes_close_is_searched_exactly(name: str, monkeypatch) -> None:
    """The coarse network's boundary is out of reach, the exact one's just within it."""
    x, y = flat([0.2, 0.2, 0.0]), torch.zeros(3, dtype=torch.int64)
    eps = torch.full((3,), 0.295)
    if name == "pgd":
        (rung,) = ensembles.pgd(3, restarts=1)
    else:
        (rung,) = ensembles.autoattack(3, components=[name])

    def run() -> tuple[list[bool], list[int]]:
        target = Target(Three(0.5), judge=Target(Three(0.49)), images=3)
        x_adv = rung.attack(target, x, y, torch.arange(3), eps=eps, norm="linf")
        assert (x_adv - x).abs().max() <= 0.295 + 1e-6
        return (Three(0.49)(x_adv).argmax(1) != y).tolist(), target.passes.each.sum(0).tolist()

    broken, spent = run()
    assert broken == [True, True, False]
    # The third image is far from either boundary: it is not looked at twice.
    assert spent[0] == spent[1] > spent[2]
    monkeypatch.setattr(tracker, "NEAR", -1.0)
    broken, once = run()
    # PGD returns its last point, which here lies behind the exact boundary anyway.
    assert broken == [name == "pgd", name == "pgd", False]
    assert once == [spent[2]] * 3
