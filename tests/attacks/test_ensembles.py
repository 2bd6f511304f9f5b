"""AutoAttack of our own attacks: no stage is idle."""

from __future__ import annotations

import pytest
import torch

from robustbench_mix.attacks.base import Batch
from robustbench_mix.attacks.counted_model import CountedModel
from robustbench_mix.attacks.native import ensembles
from robustbench_mix.errors import RbmixError


@pytest.mark.parametrize("name", ["apgd-ce", "apgd-t", "fab", "fab-t", "square"])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_every_stage_breaks_something(linear_case, name: str, norm: str) -> None:
    """Each attack alone breaks an easy image, beyond what placing has broken."""
    model, split = linear_case(10)
    (stage,) = ensembles.autoattack_stages(10, components=[name], queries=300)
    x, y = split.pixels(), split.labels
    eps = torch.full((len(x),), {"linf": 0.2, "l2": 1.0}[norm])
    batch = Batch(x, y, eps, torch.arange(len(x)), norm)
    x_adv = stage.attack(CountedModel(model), batch)
    assert (model(x_adv).argmax(1) != y).float().mean() > 0.5


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_untargeted_fab_finds_the_nearest_boundary(linear_case, norm: str) -> None:
    """On a linear model it breaks exactly the images whose true distance is within eps."""
    model, split = linear_case(10)
    (stage,) = ensembles.autoattack_stages(10, components=["fab"], steps=20)
    x, y = split.pixels(), split.labels
    truth = torch.as_tensor(model.distances(x, y, norm))
    for factor, breaks in ((1.01, True), (0.99, False)):
        batch = Batch(x, y, factor * truth, torch.arange(len(x)), norm)
        x_adv = stage.attack(CountedModel(model), batch)
        found = (x_adv != x).flatten(1).any(1)
        assert bool(found.all()) is breaks
        assert found.any() == breaks


class Shy(torch.nn.Module):
    """Class 1 only in a small region beside each image, which few random starts meet."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        value = x.flatten(1)
        inside = ((value - 0.5).abs() > 0.03).float().mean(1) - 0.9
        return torch.stack([torch.zeros_like(inside), inside + 0 * value.sum(1)], 1)


def starts(monkeypatch, name: str, restarts: int) -> list[int]:
    """How many images each run of an attack that finds nothing, or all but two, gets."""
    met = []

    def attack(model, batch, *args, **_):
        met.append((len(batch), batch.seeds.tolist()))
        found = batch.x.clone()
        found[:-2] += 0.1
        return found

    module = {"apgd-ce": "apgd", "fab": "fab", "square": "square"}[name]
    monkeypatch.setattr(ensembles, module, attack)
    settings = {name: {"restarts": restarts}}
    (stage,) = ensembles.autoattack_stages(10, components=[name], settings=settings)
    x = torch.full((6, 1, 2, 2), 0.5)
    batch = Batch(
        x, torch.zeros(6, dtype=torch.int64), torch.full((6,), 0.2), torch.arange(6), "l2"
    )
    model = CountedModel(Shy(), images=6)
    found = stage.attack(model, batch)
    assert torch.equal((found != x).flatten(1).any(1), torch.arange(6) < 4)
    assert len({seed for _, seeds in met for seed in seeds}) == sum(n for n, _ in met)
    return [n for n, _ in met]


@pytest.mark.parametrize("name", ["apgd-ce", "fab", "square"])
@pytest.mark.parametrize("restarts", [1, 2, 5])
def test_restarts_attack_what_stands(monkeypatch, name: str, restarts: int) -> None:
    """From other seeds each time."""
    assert starts(monkeypatch, name, restarts) == [6, *[2] * (restarts - 1)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"settings": 3}, "settings = 3 must be a table"),
        ({"settings": {"apgd": {}}}, "unknown AutoAttack component 'apgd'"),
        ({"settings": {"square": 3}}, "settings.square = 3 must be a table"),
        ({"settings": {"square": {"query": 3}}}, "unknown option of square 'query'.*'queries'"),
        ({"settings": {"square": {"queries": 0}}}, "queries = 0 must be a whole number"),
        ({"settings": {"apgd-ce": {"restarts": 0}}}, "restarts = 0 must be a whole number"),
        ({"settings": {"apgd-ce": {"eot": 2}}}, "unknown option of apgd-ce 'eot'"),
        ({"restarts": 2000}, "restarts = 2000 must be a whole number.*1,000"),
    ],
)
def test_wrong_settings_are_named(options: dict, message: str) -> None:
    """In one line."""
    with pytest.raises(RbmixError, match=message):
        ensembles.autoattack_stages(10, **options)


def test_settings_are_for_their_stage_alone() -> None:
    """And restarts multiply the passes that are expected of it."""
    x = torch.zeros(1, 3, 8, 8)
    usual = ensembles.autoattack_stages(10)
    settings = {"apgd-ce": {"restarts": 5, "steps": 20}}
    changed = ensembles.autoattack_stages(10, settings=settings)
    one, other = ([stage.passes(x, "linf") for stage in stages] for stages in (usual, changed))
    assert one[1:] == other[1:]
    assert other[0] == (5 * 21, 5 * 21)


def test_what_two_classes_leave_nothing_of_is_refused() -> None:
    """An ensemble without attacks would call everything robust."""
    with pytest.raises(RbmixError, match="need at least 3 classes, the model has 2"):
        ensembles.autoattack_stages(2, components=["apgd-dlr", "apgd-t"])
    assert [s.name for s in ensembles.autoattack_stages(2)] == ["apgd-ce", "fab-t", "square"]
