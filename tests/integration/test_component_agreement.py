"""Components of AutoAttack alone, here and by pyautoattack."""

from __future__ import annotations

import component_agreement
import networks
import pyautoattack
import pytest
import torch

import robustbench_mix as rbmix
from robustbench_mix.data import loaders
from robustbench_mix.data.dataset import balanced_subset

pytestmark = pytest.mark.default

# Images of the balanced subset of 200 that FAB-T breaks just within the radius.
HARD = [71, 93, 95, 96]


def test_fab_breaks_what_the_library_breaks() -> None:
    """Also where the search is in bfloat16, which alone does not resolve their distance."""
    split = balanced_subset(loaders.load("digits").test, 200)
    x, y = split.pixels()[HARD], split.labels[HARD]
    net = networks.load("learned").model.eval()
    for driver in (pyautoattack.AutoAttack, rbmix.AutoAttack):
        stands = component_agreement.standing(driver, net, x, y, 0.75 / 16, "fab-t 0")
        assert not stands.any(), driver


def test_a_row_counts_what_stands_and_what_fell() -> None:
    """Means over the seeds, and the difference of two seeds of the library."""
    split = balanced_subset(loaders.load("digits").test, 12)
    cells = component_agreement.row(
        networks.scikit("linear"), split.pixels(), split.labels, 1 / 16, "apgd-ce", 2
    )
    assert cells[:2] == ["apgd-ce", "2"]
    assert cells[2] == cells[3]
    assert cells[4:] == ["0.0", "0.0"]
    first = [torch.tensor([True, True, False]), torch.tensor([True, False, False])]
    second = [torch.tensor([False, True, True]), torch.tensor([False, True, True])]
    assert component_agreement.only_first(first, second) == 1.0


def test_the_page_has_every_row(checkout) -> None:
    """One for each network and component, under the words of the script."""
    page = (checkout / "docs" / "component-agreement.md").read_text(encoding="utf-8")
    assert page.startswith(component_agreement.INTRO)
    for name, eps in component_agreement.NETWORKS.items():
        for component in component_agreement.COMPONENTS:
            words = component_agreement.WORDS[name]
            assert page.count(f"| {words} | {16 * eps:g}/16 | {component} |") == 1
