"""Which networks are measured."""

from __future__ import annotations

from dataclasses import replace

import pytest

from robustbench_mix.config.model import ModelSpec
from robustbench_mix.evaluation import explain
from robustbench_mix.evaluation.data_plan import DataPlan
from robustbench_mix.evaluation.model_plan import trained_model
from robustbench_mix.evaluation.plan import explanation_plan

EPS = ["0.01", "0.02"]


@pytest.mark.parametrize(
    ("spatial", "modes"), [("learned", ["learned"]), ("frozen", ["learned", "frozen"])]
)
def test_a_network_is_measured_beside_its_learned_twin(spatial: str, modes: list[str]) -> None:
    """Which it may be itself; all else is the same."""
    model = trained_model(ModelSpec("resnet14", spatial, "frozen", 3))
    found = explain.models_of(explanation_plan(model, DataPlan("digits"), EPS))
    assert [one.spec.spatial for one in found] == modes
    for one in found:
        assert replace(one, spec=replace(one.spec, spatial=spatial)) == model
