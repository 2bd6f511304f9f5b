"""Which images the diagnostics of an evaluation look at, and within which epsilon."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from robustbench_mix.data.dataset import Dataset, Split
from robustbench_mix.evaluation import diagnostics, sanity_checks
from robustbench_mix.evaluation.diagnostics import SAMPLE

CPU = torch.device("cpu")


class Flat(nn.Module):
    """Logits from two pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x.flatten(1))


def split_of(n: int) -> Split:
    """Images that are named by tens, as in runs made by hand."""
    images = torch.arange(2 * n).view(n, 1, 1, 2) / (2 * n)
    return Split(images, torch.zeros(n, dtype=torch.int64), 10 * torch.arange(n), 1)


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list:
    """What the diagnostics were given."""
    seen = []

    def of_attacks(model, batch, standing, more_steps) -> dict[str, int]:
        seen.append((batch, standing, more_steps))
        return {"attacked": len(batch)}

    monkeypatch.setattr(diagnostics, "of_attacks", of_attacks)
    return seen


def test_attacks_are_tried_where_half_of_the_images_stand(make_run, looked: list) -> None:
    """On those that are right; each stands or not as the run says."""
    run = make_run([0, 1, 1, 2, 2, 0], correct=[True] * 5 + [False], norm="linf")
    found = sanity_checks.of_attacks(Flat(), run, split_of(6), CPU, 0)
    assert found == {"eps": 1, "attacked": 5}
    ((batch, standing, more_steps),) = looked
    assert batch.eps.tolist() == [2 / 255] * 5
    assert batch.norm == "linf"
    assert torch.equal(batch.x, split_of(6).pixels(0, 5))
    assert standing.tolist() == [False, False, False, True, True]
    assert len(batch.seeds.unique()) == 5
    assert more_steps == 100


@pytest.mark.parametrize(
    ("spec", "steps"),
    [({"algorithm": "pgd", "options": {"steps": 90}}, 180), ({"algorithm": "pgd"}, 100),
     ({"algorithm": "pgd", "options": {"steps": 3}}, 100), ({"algorithm": "autoattack"}, 0)],
)  # fmt: skip
def test_more_steps_than_the_protocols(make_run, looked: list, spec: dict, steps: int) -> None:
    """None where it has not one loss of ours."""
    run = make_run([2] * 3, protocol_spec=spec)
    sanity_checks.of_attacks(Flat(), run, split_of(3), CPU, 0)
    assert looked[0][2] == steps


def test_nothing_is_said_of_a_network_that_is_never_right(make_run, looked: list) -> None:
    """There is nothing to attack."""
    run = make_run([0] * 3, correct=[False] * 3)
    assert sanity_checks.of_attacks(Flat(), run, split_of(3), CPU, 0) == {}
    assert looked == []


def test_a_random_few_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same whatever else is evaluated; of a model that is lent and comes back."""
    seen = []

    def of_network(net, x, y, mean, std) -> str:
        seen.append(x)
        assert not net.training
        return "found"

    monkeypatch.setattr(diagnostics, "of_network", of_network)
    model, whole = Flat(), split_of(3 * SAMPLE)
    dataset = Dataset("tiny", ("a", "b"), whole, whole)
    assert sanity_checks.of_network(model, dataset, whole, CPU) == "found"
    few = whole.take(torch.arange(2 * SAMPLE))
    sanity_checks.of_network(model, dataset, few, CPU)
    assert model.training
    assert [len(x) for x in seen] == [SAMPLE, SAMPLE]
    positions = [(x[:, 0, 0, 0] * 6 * SAMPLE / 2).round().int().tolist() for x in seen]
    assert positions[0] == sorted(positions[0]) != list(range(SAMPLE))
    kept = [row for row in positions[0] if row < 2 * SAMPLE]
    assert set(kept) <= set(positions[1])
