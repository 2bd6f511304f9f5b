"""States and headers made by hand, and twins to measure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from robustbench_mix.data.dataset import Dataset
from robustbench_mix.evaluation.inputs import Inputs
from robustbench_mix.evaluation.state import State
from robustbench_mix.models.checkpoint import CheckpointHeader
from robustbench_mix.results.headers import RunIdentity
from robustbench_mix.training.load_or_train import TrainedModel


def _make_state(n: int, levels: int = 3, **changes: object) -> State:
    """Before any attack on n images that are all classified correctly, but for `changes`."""
    words = {
        "prediction": [0] * n, "margin": [1.0] * n, "correct": [True] * n, "level": [levels] * n,
        "component": [""] * n, "norm": [float("nan")] * n, "stage": [0] * n, "failed": [-1] * n,
        "check": [-1] * n, "check_stage": [0] * n, "checked": [""] * n, "cheap": [-1] * n,
        "reached": [1.0] * n, "stratum": [-1] * n, "sampled": [False] * n,
        "forward": [0] * n, "gradient": [0] * n, "batch_size": 8,
    }  # fmt: skip
    return State(**{**words, **changes})


@pytest.fixture
def make_state() -> Callable[..., State]:
    """The function that makes a state by hand."""
    return _make_state


@pytest.fixture
def identity(make_run) -> RunIdentity:
    """The identity of a run on four images, over two epsilons."""
    header = make_run([2] * 4).header
    return RunIdentity(**{name: getattr(header, name) for name in RunIdentity.__struct_fields__})


@pytest.fixture
def twins(home: Path, linear_case: Callable) -> tuple[TrainedModel, TrainedModel, Inputs]:
    """A network, its twin, and twelve images that the network has right."""
    model, split = linear_case(4, n=12)
    twin, _ = linear_case(4, n=12)
    twin.weight.data = 0.9 * twin.weight.data + 0.02 * torch.randn_like(twin.weight)
    dataset = Dataset("tiny", tuple("abcd"), split, split)
    first, second = (TrainedModel(one, Path(), CheckpointHeader(), 0.0) for one in (model, twin))
    return first, second, Inputs(dataset, 12, torch.device("cpu"))
