"""The paper's figures, for networks and data that it has."""

from __future__ import annotations

import pytest

from robustbench_mix.claims import accuracy, paper


def test_the_papers_figures_stand_beside(planted) -> None:
    """For networks and data that the paper has, as a share."""
    runs = planted({"learned": (0.9, 0.5, 0.2), "frozen": (0.88, 0.5, 0.2)}, dataset="cifar10-jpeg")
    (finding,) = accuracy.almost_as_well(runs).findings
    assert finding.paper == pytest.approx(0.8986 - 0.9112)
    assert paper.fgsm("resnet20", "cifar10", "4/255", "frozen") == pytest.approx(0.1757)
    assert paper.fgsm("resnet20", "cifar10", "8/255", "frozen") is None
    assert paper.clean("resnet20", "digits", "frozen") is None
    assert paper.clean("convmixer6", "cifar100", "learned", "frozen") == pytest.approx(0.5277)
    assert paper.clean("resnet14", "cifar10", "same") is None
    assert paper.static("cifar100", "box") == pytest.approx(0.3445)
    assert paper.smoothing(6, "2/255") == pytest.approx(0.255)
    assert paper.psnr("cifar10", 8, 256, 7, "frozen") == pytest.approx(23.09)
    assert "2503.16760" in paper.source()
