"""Probes and transfers: what is measured, and where it is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from robustbench_mix.config.model import ModelSpec
from robustbench_mix.data.dataset import Dataset
from robustbench_mix.evaluation import explain
from robustbench_mix.evaluation.data_plan import DataPlan
from robustbench_mix.evaluation.identity import Label
from robustbench_mix.evaluation.inputs import Inputs
from robustbench_mix.evaluation.model_plan import trained_model
from robustbench_mix.evaluation.plan import explanation_plan
from robustbench_mix.models.checkpoint import CheckpointHeader, weights_hash
from robustbench_mix.models.separable import SeparableConv2d
from robustbench_mix.results import probes
from robustbench_mix.training.load_or_train import TrainedModel

CPU = torch.device("cpu")
LABEL = Label("resnet14", "frozen", "learned", 0)
EPS = ["0.01", "0.02"]


@pytest.fixture
def case(home: Path, linear_case: Callable) -> tuple[TrainedModel, TrainedModel, Inputs]:
    """A network, its twin, and twelve images that the network has right."""
    model, split = linear_case(4, n=12)
    twin, _ = linear_case(4, n=12)
    twin.weight.data = 0.9 * twin.weight.data + 0.02 * torch.randn_like(twin.weight)
    dataset = Dataset("tiny", tuple("abcd"), split, split)
    first, second = (TrainedModel(one, Path(), CheckpointHeader(), 0.0) for one in (model, twin))
    return first, second, Inputs(dataset, 12, CPU)


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


def test_a_probe_is_measured_once(case, tmp_path: Path, capsys) -> None:
    """Margins, distances and the curve of every image; the model comes back as it was."""
    model, _, inputs = case
    model.model.train()
    path = explain.probe(LABEL, model, inputs, EPS, tmp_path)
    assert model.model.training
    found = probes.read_probe(path)
    assert found.table["image"].tolist() == inputs.split.index.tolist()
    assert found.table["correct"].all()
    exact = model.model.distances(inputs.split.pixels(), inputs.split.labels, "linf")
    measured = torch.tensor(found.table["distance"].tolist()).double()
    torch.testing.assert_close(measured, exact, rtol=0.1, atol=1e-3)
    # A linear network keeps what its gradient promises until a third class comes in between.
    real = torch.tensor(found.table["real"].tolist())
    predicted = torch.tensor(found.table["predicted"].tolist())
    assert (real <= predicted + 1e-4).all()
    assert ((predicted - real).abs() < 1e-4).float().mean() > 0.8
    assert (found.header.filters, found.header.composed) == ([], [])
    assert found.header.heat_map_n == 12
    before = path.read_bytes()
    assert explain.probe(LABEL, model, inputs, EPS, tmp_path) == path
    assert path.read_bytes() == before
    assert "already measured" in capsys.readouterr().err


def test_a_transfer_tries_the_examples_of_both_on_both(case, tmp_path: Path) -> None:
    """Each fools its own maker most; pictures are of images that both have right."""
    model, twin, inputs = case
    path = explain.transfer(LABEL, model, twin, inputs, EPS, tmp_path)
    found = probes.read_transfer(path)
    assert (found.header.classes, found.header.shape) == (list("abcd"), [2, 5, 5])
    assert found.table["second"].all()  # the network itself; the twin is the first
    own = sum(map(sum, found.table["pgd_second_second"]))
    other = sum(map(sum, found.table["pgd_first_second"]))
    assert own >= other
    assert own > 0
    shown = found.table["clean"].notna()
    assert shown.any()
    assert not (shown & ~(found.table["first"] & found.table["second"])).any()


def test_what_differs_lies_elsewhere(case, tmp_path: Path) -> None:
    """Weights, images, epsilons; a probe is no transfer."""
    model, twin, inputs = case
    few = Inputs(inputs.dataset, 8, CPU)
    paths = set()
    for kind, images, eps, weights in (
        ("probe", inputs, EPS, model), ("transfer", inputs, EPS, model), ("probe", few, EPS, model),
        ("probe", inputs, EPS[:1], model), ("probe", inputs, EPS, twin),
    ):  # fmt: skip
        header = explain.header_of(kind, LABEL, CheckpointHeader(), images, eps)
        paths.add(explain.path_of(header, tmp_path, weights_hash(weights.model)))
    assert len(paths) == 5


def test_spectra_are_of_the_spatial_filters() -> None:
    """Or of the dense kernels that they make up; nothing where there are none."""
    torch.manual_seed(0)
    net = nn.Sequential(SeparableConv2d(2, 3, 3), SeparableConv2d(3, 2, 3))
    filters, composed = (explain._filter_spectrum(net, composed=one) for one in (False, True))
    for spectrum in (filters, composed):
        assert sum(spectrum) == pytest.approx(1)
    assert filters != composed
    for layer in net:
        nn.init.ones_(layer.depthwise.weight)
    box = explain._filter_spectrum(net, composed=False)
    assert box[0] > filters[0]
    assert explain._filter_spectrum(nn.Linear(2, 2), composed=True) == []
