"""The harness believes nobody: wrong, lying and crashing attacks, and its own bookkeeping."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest
import torch
from torch import nn

from robustbench_mix.attacks import registry
from robustbench_mix.attacks.base import Stage
from robustbench_mix.config import protocols
from robustbench_mix.config.epsilon import parse_grid
from robustbench_mix.config.model import ModelSpec
from robustbench_mix.data.dataset import Split
from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation.harness import Settings, classes_of
from robustbench_mix.evaluation.reference import attack_all
from robustbench_mix.evaluation.state import State
from robustbench_mix.models import factory
from robustbench_mix.models.given import adapt

CPU = torch.device("cpu")
PROTOCOL = replace(protocols.load("fgsm", ""), eps=parse_grid(["0.01", "0.02", "0.05"], "linf"))


def run(model, split, stages, protocol=PROTOCOL, *, state=None, batch_size=5, save=None) -> State:
    """Attack with these stages."""
    settings = Settings(0, CPU, batch_size, save=save)
    return attack_all(model, split, protocol, stages, settings, state)


def stage(attack, name: str = "mine") -> Stage:
    """The stage of an attack."""
    return Stage(name, attack)


def away(model, batch):
    """Go far outside ball and box, in the best direction."""
    x = batch.x.clone().requires_grad_()
    nn.functional.cross_entropy(model(x), batch.y, reduction="sum").backward()
    return x.detach() + 100 * x.grad.sign()


def test_perturbations_are_projected(linear_case) -> None:
    """An attack that leaves the ball is cut back, and the verified norm is within eps."""
    model, split = linear_case(4)
    state = run(model, split, [stage(away)])
    broken = [
        (level, norm) for level, norm in zip(state.level, state.norm, strict=True) if level < 3
    ]
    assert broken
    assert all(norm <= PROTOCOL.eps[level].value for level, norm in broken)


def test_success_is_judged_by_the_original_model(linear_case) -> None:
    """An attack that returns the clean image has broken nothing, whatever it claims."""
    model, split = linear_case(4)
    assert run(model, split, [stage(lambda model, batch: batch.x)]).level == [3] * len(split)


def test_a_crash_is_a_crash(linear_case) -> None:
    """An exception in an attack is neither robust nor a result."""
    model, split = linear_case(4)

    def crash(model, batch):
        raise ValueError("attack crashed")

    with pytest.raises(ValueError, match="attack crashed"):
        run(model, split, [stage(crash)])


def test_nan_from_an_attack_counts_as_no_perturbation(linear_case) -> None:
    """NaN pixels never break an image."""
    model, split = linear_case(4)
    assert run(model, split, [stage(lambda model, batch: batch.x * torch.nan)]).level == [3] * len(
        split
    )


def test_wrong_shape_from_an_attack(linear_case) -> None:
    """An attack that changes the shape is named."""
    model, split = linear_case(4)
    with pytest.raises(RbmixError, match="'mine' returned shape"):
        run(model, split, [stage(lambda model, batch: batch.x[:1])])


class Odd(nn.Module):
    """Logits that are NaN away from the clean images, where label 0 would pass as right."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits = x.flatten(1)[:, :4] * 0 + torch.tensor([1.0, 0, 0, 0])
        moved = (x * 255 != (x * 255).round()).flatten(1).any(1)
        return torch.where(moved[:, None], torch.nan, logits)


@pytest.mark.parametrize("name", ["pgd", "noise", "autoattack"])
def test_nan_logits_are_never_robust(name: str) -> None:
    """A model that answers NaN under attack gets an error, not an accuracy."""
    images = torch.randint(90, 160, (6, 1, 4, 4), dtype=torch.uint8)
    split = Split(images, torch.zeros(6, dtype=torch.int64), torch.arange(6), 255)
    stages = registry.reference_stages(protocols.load(name, "").algorithm, 4, {})
    with pytest.raises(RbmixError, match="not finite"):
        run(Odd(), split, stages)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Flatten(), None),
        (nn.Sequential(nn.Flatten(), nn.Linear(50, 3)), "3 classes, but .* up to 3"),
        (nn.Identity(), "needs one row of logits per image"),
    ],
)
def test_models_that_do_not_fit_the_labels(linear_case, model, message) -> None:
    """Too few classes and odd shapes are named; too many classes are fine."""
    _, split = linear_case(4)
    assert split.labels.max() == 3
    if message is None:
        run(model, split, [])
    else:
        with pytest.raises(RbmixError, match=message):
            run(model, split, [])


def test_misclassified_and_broken_images_are_left_alone(linear_case) -> None:
    """Every attack sees only clean-correct images that still stand."""
    model, split = linear_case(4)
    labels = split.labels.clone()
    labels[::3] = (labels[::3] + 1) % 4
    split = replace(split, labels=labels)
    seen: list[tuple[float, list[int]]] = []

    def attack(model, batch):
        seen.append((batch.one_eps(), batch.index))
        x_adv = away(model, batch)
        keep = torch.tensor([i % 2 == 0 for i in batch.index])
        return torch.where(keep[:, None, None, None], x_adv, batch.x)

    state = run(model, split, [stage(attack, "half"), stage(attack, "half")])
    assert not any(state.correct[::3])
    assert all(i % 3 for _, index in seen for i in index)
    for row, level in enumerate(state.level):
        times = [eps for eps, index in seen if row in index]
        if state.correct[row] and level < 3:
            assert max(times) == PROTOCOL.eps[level].value
            assert times.count(max(times)) == 1
    assert 3 in state.level


@pytest.mark.default
@pytest.mark.parametrize("batch_size", [1, 7, 64])
@pytest.mark.parametrize("name", ["pgd", "pgd-l2", "noise"])
def test_outcome_does_not_depend_on_batches_or_order(linear_case, name, batch_size) -> None:
    """Random streams belong to the image: other batches and orders break the same set."""
    model, split = linear_case(10, n=20)
    model = adapt(model.double(), split.pixels(0, 2))
    protocol = protocols.load(name, "")
    grid = ["0.01", "0.03"] if protocol.norm == "linf" else ["0.05", "0.1"]
    protocol = replace(protocol, eps=parse_grid(grid, protocol.norm))
    options = {"draws": 20} if name == "noise" else {"steps": 3, "restarts": 3}
    stages = registry.reference_stages(protocol.algorithm, 10, options)
    reference = run(model, split, stages, protocol, batch_size=20)
    order = torch.randperm(20)
    shuffled = run(model, split.take(order), stages, protocol, batch_size=batch_size)
    assert shuffled.level == [reference.level[i] for i in order]
    assert shuffled.component == [reference.component[i] for i in order]


@pytest.mark.default
@pytest.mark.parametrize("name", ["pgd", "autoattack"])
def test_a_stopped_run_ends_as_an_undisturbed_one(linear_case, name: str) -> None:
    """Stop after each batch in turn, go on from what was saved: the outcome is the same."""
    model, split = linear_case(10)
    small = {"pgd": {"steps": 2, "restarts": 2}, "autoattack": {"steps": 5, "queries": 5}}[name]
    stages = registry.reference_stages(name, 10, small)
    saved: list[dict] = []
    whole = run(model, split, stages, save=lambda state: saved.append(asdict(state)))
    assert len(saved) > 5
    for state in saved:
        resumed = run(model, split, stages, state=State(**state))
        expected, found = asdict(whole), asdict(resumed)
        expected.pop("attack_seconds"), found.pop("attack_seconds")
        assert repr(found) == repr(expected)


def test_the_model_leaves_as_it_came() -> None:
    """Mode, gradient flags, gradients, buffers and the random state are untouched."""
    shape = factory.Shape(1, 6, 4)
    spec = ModelSpec("resnet14_w4", spatial="frozen")
    model = factory.build(spec, shape, torch.zeros(1), torch.ones(1)).train()
    model.net.norm.eval()
    next(model.parameters()).grad = torch.ones_like(next(model.parameters()))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    flags = [p.requires_grad for p in model.parameters()]
    modes = [m.training for m in model.modules()]
    split = Split(
        torch.randint(0, 256, (6, 1, 6, 6), dtype=torch.uint8),
        torch.arange(6) % 4, torch.arange(6), 255,
    )  # fmt: skip
    torch.manual_seed(11)
    expected = torch.rand(4)
    torch.manual_seed(11)
    for name in ("pgd", "autoattack", "noise"):
        options = {"autoattack": {"steps": 3, "queries": 3}}.get(name, {})
        run(model, split, registry.reference_stages(name, 4, options))
    assert torch.equal(torch.rand(4), expected)
    assert [p.requires_grad for p in model.parameters()] == flags
    assert [m.training for m in model.modules()] == modes
    assert torch.equal(next(model.parameters()).grad, torch.ones_like(next(model.parameters())))
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_passes_are_counted(linear_case) -> None:
    """PGD from the image spends one forward and one gradient an image and step, and a verdict."""
    model, split = linear_case(4)
    protocol = replace(PROTOCOL, eps=parse_grid(["0.000001"], "linf"))
    stages = registry.reference_stages("pgd", 4, {"steps": 7, "restarts": 2})
    state = run(model, split, stages, protocol)
    spent = {"forward": 8 * len(split), "gradient": 7 * len(split)}
    assert state.passes == {"pgd-0": spent, "pgd-1": spent}


@pytest.mark.default
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("name", ["fgsm", "autoattack"])
def test_other_precisions_and_layouts(name: str, dtype: torch.dtype) -> None:
    """Libraries that crash on double, bf16 or channels_last networks do not here."""
    model = nn.Sequential(nn.Conv2d(2, 6, 3), nn.Flatten(), nn.Linear(54, 5)).to(dtype)
    model = model.to(memory_format=torch.channels_last)
    images = torch.randint(0, 256, (6, 2, 5, 5), dtype=torch.uint8)
    split = Split(images, torch.arange(6) % 5, torch.arange(6), 255)
    model = adapt(model, split.pixels(0, 2))
    stages = registry.reference_stages(
        name, 5, {"steps": 3, "queries": 3} if name != "fgsm" else {}
    )
    protocol = replace(protocols.load("pgd-l2", ""), eps=parse_grid(["0.1"], "l2"))
    assert classes_of(model, split, CPU) == 5
    for used in (PROTOCOL, protocol):
        assert len(run(model, split, stages, used).level) == 6
