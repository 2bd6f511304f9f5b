"""Where probes and transfers are written."""

from __future__ import annotations

from pathlib import Path

import torch

from robustbench_mix.evaluation import probe_identity
from robustbench_mix.evaluation.identity import Label
from robustbench_mix.evaluation.inputs import Inputs
from robustbench_mix.models.checkpoint import CheckpointHeader, weights_hash

CPU = torch.device("cpu")
LABEL = Label("resnet14", "frozen", "learned", 0)
EPS = ["0.01", "0.02"]


def test_what_differs_lies_elsewhere(twins, tmp_path: Path) -> None:
    """Weights, images, epsilons; a probe is no transfer."""
    model, twin, inputs = twins
    few = Inputs(inputs.dataset, 8, CPU)
    paths = set()
    for kind, images, eps, weights in (
        ("probe", inputs, EPS, model), ("transfer", inputs, EPS, model), ("probe", few, EPS, model),
        ("probe", inputs, EPS[:1], model), ("probe", inputs, EPS, twin),
    ):  # fmt: skip
        header = probe_identity.header_of(kind, LABEL, CheckpointHeader(), images, eps)
        paths.add(probe_identity.path_of(header, tmp_path, weights_hash(weights.model)))
    assert len(paths) == 5
