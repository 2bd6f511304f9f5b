"""What is measured of one network."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from robustbench_mix.evaluation import probe
from robustbench_mix.evaluation.identity import Label
from robustbench_mix.models.separable import SeparableConv2d
from robustbench_mix.results import probes

LABEL = Label("resnet14", "frozen", "learned", 0)
EPS = ["0.01", "0.02"]


def test_a_probe_is_measured_once(twins, tmp_path: Path, capsys) -> None:
    """Margins, distances and the curve of every image; the model comes back as it was."""
    model, _, inputs = twins
    model.model.train()
    path = probe.probe(LABEL, model, inputs, EPS, tmp_path)
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
    assert probe.probe(LABEL, model, inputs, EPS, tmp_path) == path
    assert path.read_bytes() == before
    assert "already measured" in capsys.readouterr().err


def test_spectra_are_of_the_spatial_filters() -> None:
    """Or of the dense kernels that they make up; nothing where there are none."""
    torch.manual_seed(0)
    net = nn.Sequential(SeparableConv2d(2, 3, 3), SeparableConv2d(3, 2, 3))
    filters, composed = (probe._filter_spectrum(net, composed=one) for one in (False, True))
    for spectrum in (filters, composed):
        assert sum(spectrum) == pytest.approx(1)
    assert filters != composed
    for layer in net:
        nn.init.ones_(layer.depthwise.weight)
    box = probe._filter_spectrum(net, composed=False)
    assert box[0] > filters[0]
    assert probe._filter_spectrum(nn.Linear(2, 2), composed=True) == []
