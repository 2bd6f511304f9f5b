"""The table of static filters."""

from __future__ import annotations

import pytest

from robustbench_mix.claims.explanations.static import static_filters

pytestmark = pytest.mark.quick


def test_every_kind_stands_beside_the_papers_figure(planted) -> None:
    """All readings of Same beside the paper's loss; nothing beside filters it does not have."""
    shares = {
        "frozen": (0.9, 0.5, 0.2), "same": (0.9, 0.5, 0.2), "single": (0.72, 0.5, 0.2),
        "gaussian": (0.88, 0.5, 0.2),
    }  # fmt: skip
    rows = static_filters(planted(shares, dataset="cifar10", seeds=2)).rows
    by_filters = {row[3]: row for row in rows}
    assert list(by_filters) == ["same", "single", "gaussian"]
    assert by_filters["same"][8] == by_filters["single"][8] == "-17.2"
    assert by_filters["gaussian"][8] == ""
    assert -23 < float(by_filters["single"][7].split()[0]) < -14
    assert by_filters["single"][4] == "2 x 400"


def test_another_network_has_no_figure_in_the_paper(planted) -> None:
    """The paper's is one for the smallest ResNet."""
    shares = {"frozen": (0.9, 0.5, 0.2), "box": (0.7, 0.5, 0.2)}
    ((*_, theirs),) = static_filters(planted(shares, dataset="cifar10", model="resnet20")).rows
    assert theirs == ""
