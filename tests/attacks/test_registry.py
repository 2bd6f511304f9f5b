"""Attacks by name: a new one is one function and one line, and wrong words are named."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from robustbench_mix.attacks import registry
from robustbench_mix.attacks.base import Batch, Stage
from robustbench_mix.attacks.counted_model import CountedModel
from robustbench_mix.attacks.native.geometry import wide
from robustbench_mix.config import catalog
from robustbench_mix.config.epsilon import parse_grid
from robustbench_mix.config.protocols import Protocol
from robustbench_mix.data.dataset import Split
from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation.attack_plan import attack_plan
from robustbench_mix.evaluation.fast import FastOptions, search_all
from robustbench_mix.evaluation.harness import Settings
from robustbench_mix.evaluation.reference import attack_all
from robustbench_mix.evaluation.schedules import schedule_of

CPU = torch.device("cpu")
GRID = ["0.1", "0.2", "0.3"]


class Threshold(nn.Module):
    """Class 1 where the mean pixel is below a half."""

    def forward(self, x: Tensor) -> Tensor:
        value = 0.5 - x.mean((1, 2, 3))
        return torch.stack([-value, value], 1)


def darken_stages(classes: int, *, share: float = 1.0) -> list[Stage]:
    """An attack that somebody adds: a function that returns its stages."""

    def darken(model: CountedModel, batch: Batch) -> Tensor:
        return batch.x - share * wide(batch.radius)

    return [Stage("darken", darken, counts_per_image=True)]


def test_one_line_adds_an_attack_to_both_engines(monkeypatch) -> None:
    """Each image falls at the epsilon that its brightness says, whichever engine runs it."""
    monkeypatch.setitem(catalog.ALGORITHMS, "darken", catalog.on_both(f"{__name__}:darken_stages"))
    levels = torch.tensor([130, 150, 165, 180, 200, 220, 250], dtype=torch.uint8)
    images = levels[:, None, None, None].expand(-1, 1, 4, 4)
    split = Split(images.contiguous(), torch.zeros(7, dtype=torch.int64), torch.arange(7), 255)
    protocol = Protocol("darken", "", "darken", "linf", parse_grid(GRID, "linf"), {"share": 0.9})
    needed = ((levels / 255 - 0.5) / 0.9).tolist()
    expected = [sum(float(eps) <= one for eps in GRID) for one in needed]
    assert set(expected) == {0, 1, 2, 3}
    plans = {name: attack_plan(protocol, backend=name) for name in ("fast", "reference")}
    stages = {name: schedule_of(plan, 2).stages for name, plan in plans.items()}
    settings = Settings(0, CPU, 3)
    # Without placing, which is an attack of its own.
    options = FastOptions(place=False)
    fast = search_all(Threshold(), split, protocol, stages["fast"], settings, options=options)
    reference = attack_all(Threshold(), split, protocol, stages["reference"], settings)
    assert fast.level == reference.level == expected
    assert catalog.backend_of("darken", None) == "fast"


@pytest.mark.parametrize(
    ("algorithm", "options", "message"),
    [
        ("pgd", {"steps": 0}, "steps = 0 must be a whole number"),
        ("pgd", {"step_size": -1}, "step_size = -1"),
        ("pgd", {"stepz": 3}, "unexpected keyword argument 'stepz'"),
        ("pdg", {}, "did you mean 'pgd'"),
        ("autoattack", {"components": ["apgd"]}, "unknown AutoAttack component 'apgd'"),
        ("autoattack", {"components": []}, "must be a list of names"),
        ("noise", {"draws": True}, "draws = True must be"),
    ],
)
def test_bad_options_are_named(algorithm: str, options: dict, message: str) -> None:
    """A protocol's wrong option is named with its value."""
    with pytest.raises(RbmixError, match=message):
        registry.reference_stages(algorithm, 10, options)


def test_autoattack_needs_two_classes() -> None:
    """One class cannot be attacked."""
    with pytest.raises(RbmixError, match="at least 2 classes, not 1"):
        registry.reference_stages("autoattack", 1, {})


def test_algorithms_without_a_fast_form_are_named() -> None:
    """Noise has none, and a wrong option is refused as in the reference."""
    with pytest.raises(RbmixError, match="'noise' has no fast backend"):
        registry.fast_stages("noise", 10, {})
    with pytest.raises(RbmixError, match="unexpected keyword argument 'stepz'"):
        registry.fast_stages("pgd", 10, {"stepz": 1})


def test_a_library_attack_needs_one_epsilon() -> None:
    """The reference engine gives it; a batch of several is refused, not attacked at the first."""
    (stage,) = registry.reference_stages("fgsm", 2, {})
    x, y = torch.full((2, 1, 4, 4), 0.6), torch.zeros(2, dtype=torch.int64)
    batch = Batch(x, y, torch.tensor([0.1, 0.2]), torch.arange(2), "linf")
    with pytest.raises(AssertionError, match="needs the reference engine"):
        stage.attack(CountedModel(Threshold()), batch)
