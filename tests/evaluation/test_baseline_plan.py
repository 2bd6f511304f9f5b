"""The plan that a baseline repeats: its words, and what may replace them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from robustbench_mix.evaluation.baseline_plan import baseline_plan

pytestmark = pytest.mark.quick

WORDS = {
    "model": "resnet14", "spatial": "frozen", "channel": "learned", "seed": 3, "norm": "linf",
    "dataset": "digits", "attack": "pgd", "eps": ["1/16"], "backend": "fast", "examples": 8,
    "interface": None, "pretrained": False, "randomised": False, "exhaustive": False,
    "weights_key": None, "ignore_weights": (), "class_index": None,
}  # fmt: skip


def test_a_baseline_repeats_its_words() -> None:
    """The network, the images and the attack that it was made with."""
    baseline: Any = SimpleNamespace(words=dict(WORDS))
    plan = baseline_plan(baseline, Path("kept.csv"))
    spec = plan.model.spec
    assert (spec.model, spec.spatial, spec.channel, spec.seed) == (
        "resnet14", "frozen", "learned", 3
    )  # fmt: skip
    assert (plan.data.name, plan.data.count) == ("digits", 8)
    assert [eps.text for eps in plan.attack.protocol.eps] == ["1/16"]


def test_words_can_be_replaced(tmp_path: Path) -> None:
    """Fewer images, other weights, and whatever is not None."""
    (tmp_path / "w.safetensors").touch()
    baseline: Any = SimpleNamespace(words=dict(WORDS))
    plan = baseline_plan(
        baseline, Path("kept.csv"), examples=2, weights=tmp_path / "w.safetensors",
        changes={"spatial": "box", "seed": None},
    )  # fmt: skip
    assert plan.data.count == 2
    assert plan.model.file == tmp_path / "w.safetensors"
    assert (plan.model.spec.spatial, plan.model.spec.seed) == ("box", 3)


def test_a_randomised_network_needs_the_reference() -> None:
    """Whatever engine the baseline names."""
    baseline: Any = SimpleNamespace(words={**WORDS, "randomised": True})
    assert baseline_plan(baseline, Path("kept.csv")).attack.backend == "reference"
