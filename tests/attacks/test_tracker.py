"""What counts as broken within an attack, and who leaves the batch when."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from robustbench_mix.attacks.base import Batch
from robustbench_mix.attacks.counted_model import CountedModel
from robustbench_mix.attacks.native import ensembles, fab, tracker
from robustbench_mix.attacks.native.pgd import pgd_stages
from robustbench_mix.attacks.native.tracker import Tracker


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
    counted = CountedModel(Mean(0.5), judge=CountedModel(Mean(0.45)), doubt=2.0, images=4)
    strict = CountedModel(Mean(0.5), judge=CountedModel(Mean(0.6)), doubt=0.0, images=4)
    x, y = flat([0.1, 0.2, 0.3, 0.4]), torch.zeros(4, dtype=torch.int64)
    point = flat([0.55, 0.1, 0.49, 0.3])
    for searched, broken in ((counted, [0, 2]), (strict, [])):
        following = Tracker(searched, x, y, early_stop=True)
        following.update(point, searched(point))
        found = [row for row in range(4) if not torch.equal(following.found[row], x[row])]
        assert found == broken
        assert following.row.tolist() == [row for row in range(4) if row not in broken]
        assert len(following.model.images) == 4 - len(broken)


def test_the_merely_close_are_asked_about_at_new_lows_only() -> None:
    """A point as close as one that was refused costs no second verdict."""
    judge = CountedModel(Mean(0.9), images=1)
    counted = CountedModel(Mean(0.5), judge=judge, doubt=10.0, images=1)
    following = Tracker(counted, flat([0.0]), torch.zeros(1, dtype=torch.int64), early_stop=True)
    spent = []
    for value in (0.40, 0.40, 0.39, 0.41):
        logits = counted(flat([value]))
        before = counted.passes.forward
        following.update(flat([value]), logits)
        spent.append(counted.passes.forward - before)
    assert spent == [1, 0, 0, 1]


@pytest.mark.parametrize("every", [1, 4, 1000])
@pytest.mark.parametrize("name", ["apgd-ce", "apgd-t", "fab-t", "square", "pgd"])
def test_checking_rarely_finds_the_same_images(linear_case, monkeypatch, name, every) -> None:
    """What leaves late is found all the same; the cadence only saves waiting."""
    monkeypatch.setattr(tracker, "CHECK_EVERY", {"cpu": every})
    model, split = linear_case(10)
    x, y = split.pixels(), split.labels
    stages = (
        pgd_stages(10, restarts=1)
        if name == "pgd"
        else ensembles.autoattack_stages(10, components=[name], queries=200)
    )
    counted, eps = CountedModel(model, images=len(x)), torch.full((len(x),), 0.03)
    x_adv = stages[0].attack(counted, Batch(x, y, eps, torch.arange(len(x)), "linf"))
    broken = model(x_adv).argmax(1) != y
    reachable = model.distances(x, y, "linf") < 0.03
    assert not (broken & ~reachable).any()
    if name != "square":
        assert (broken == (model.distances(x, y, "linf") < 0.03 * 0.97)).float().mean() > 0.9
    assert broken.any()
    assert counted.passes.each.sum(1).tolist() == [counted.passes.forward, counted.passes.gradient]


def test_copies_of_an_image_leave_together() -> None:
    """The first copy that is broken settles its image; the passes of all are the image's."""
    counted = CountedModel(Mean(0.5), images=2)
    copies = counted.take(torch.tensor([0, 0, 0, 1, 1, 1]))
    x, y = flat([0.1] * 6), torch.zeros(6, dtype=torch.int64)
    following = Tracker(copies, x, y, early_stop=True, copies=3)
    point = flat([0.2, 0.6, 0.3, 0.2, 0.2, 0.2])
    keep = following.update(point, copies(point))
    assert keep.tolist() == [False] * 3 + [True] * 3
    assert following.row.tolist() == [3, 4, 5]
    assert [float(one) for one in following.found.flatten()] == pytest.approx(
        [0.1, 0.6] + [0.1] * 4
    )
    following.model(flat([0.2] * 3))
    assert counted.passes.each[0].tolist() == [3, 6]


class Three(Mean):
    """With a third class far below, so that the spread of the logits is about ten."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        low = torch.full((len(x), 1), -10.0)
        return torch.cat([super().forward(x), low], 1)


def test_near_is_close_and_not_settled() -> None:
    """By the closest point within the ball; a broken copy settles its image."""
    counted = CountedModel(Three(0.5), judge=CountedModel(Three(0.5)), images=6)
    x, y = flat([0.0] * 6), torch.zeros(6, dtype=torch.int64)
    following = Tracker(counted, x, y, early_stop=False, copies=2)
    within = torch.tensor([True, True, True, True, False, True])
    point = flat([0.45, 0.3, 0.6, 0.45, 0.45, 0.2])
    following.update(point, counted(point), within)
    following.update(flat([0.1] * 6), counted(flat([0.1] * 6)))
    # Margin 0.1 of a spread of about 10; the second image is broken, the third outside.
    assert following.near.tolist() == [True, False, False, False, False, False]


@pytest.mark.parametrize("name", ["apgd-ce", "apgd-t", "fab-t", "pgd"])
def test_what_comes_close_is_searched_exactly(name: str, monkeypatch) -> None:
    """The coarse network's boundary is out of reach, the exact one's just within it."""
    x, y = flat([0.2, 0.2, 0.0]), torch.zeros(3, dtype=torch.int64)
    eps = torch.full((3,), 0.295)
    if name == "pgd":
        (stage,) = pgd_stages(3, restarts=1)
    else:
        (stage,) = ensembles.autoattack_stages(3, components=[name])

    def run() -> tuple[list[bool], list[int]]:
        counted = CountedModel(Three(0.5), judge=CountedModel(Three(0.49)), images=3)
        x_adv = stage.attack(counted, Batch(x, y, eps, torch.arange(3), "linf"))
        assert (x_adv - x).abs().max() <= 0.295 + 1e-6
        return (Three(0.49)(x_adv).argmax(1) != y).tolist(), counted.passes.each.sum(0).tolist()

    broken, spent = run()
    assert broken == [True, True, False]
    # The third image is far from either boundary: it is not looked at twice.
    assert spent[0] == spent[1] > spent[2]
    monkeypatch.setattr(tracker, "NEAR", -1.0)
    monkeypatch.setattr(fab, "NEAR", 0.0)
    broken, once = run()
    # PGD returns its last point, which here lies behind the exact boundary anyway.
    assert broken == [name == "pgd", name == "pgd", False]
    assert once == [spent[2]] * 3
