"""What the explanations say, drawn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from matplotlib.figure import Figure
from measured import SPECTRUM, make_probe

from robustbench_mix.claims.explanations import drawings
from robustbench_mix.claims.explanations.table import Drawing


def drawn(found: list[Drawing], name: str) -> Figure:
    """The figure of an explanation."""
    (one,) = (each for each in found if each.name == name)
    figure = Figure()
    one.draw(figure)
    return figure


def test_three_drawings_for_each_network() -> None:
    """Beside its learned twin; alone it has none."""
    assert drawings.all_drawings([make_probe()]) == []
    assert drawings.all_drawings([make_probe(spatial="frozen")]) == []
    kinds = [make_probe(spatial=spatial) for spatial in ("learned", "frozen", "box")]
    others = [make_probe(model="a/b", spatial=spatial) for spatial in ("learned", "same")]
    found = drawings.all_drawings(kinds + others)
    assert [one.name for one in found] == ["distances", "frequency", "waves"] * 2
    assert [one.alt for one in found[::3]] == [
        "a/b on digits, learned, same: smallest perturbations found",
        "resnet14 on digits, learned, box, frozen: smallest perturbations found",
    ]
    assert len({one.file for one in found}) == 6
    assert not any("/" in one.file for one in found)


def test_adversarially_trained_networks_are_left_out() -> None:
    """The claims are about standard training."""
    pair = [make_probe(spatial=spatial, adversarial="8/255") for spatial in ("learned", "frozen")]
    assert drawings.all_drawings(pair) == []


def test_distances_fall_by_an_image_each() -> None:
    """A misclassified image needs nothing; where none was found the image stays."""
    frozen = make_probe({"distance": [math.inf] * 4}, spatial="frozen")
    (axes,) = drawn(drawings.all_drawings([make_probe(), frozen]), "distances").axes
    learned, other = axes.get_lines()
    assert learned.get_xdata() == pytest.approx([0, 0, 0.255, 0.51])
    assert learned.get_ydata().tolist() == [100, 75, 50, 25]
    assert other.get_ydata().tolist() == [100]
    assert axes.get_xlim() == pytest.approx((0, 0.51))
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["learned", "frozen"]


def test_spectra_are_means_over_seeds_in_per_cent() -> None:
    """What nobody measured has no panel, and bands without a frequency no point."""
    flat = [0.5, 0.5] + [0.0] * 6
    probes = [
        make_probe(spatial=spatial, seed=seed, composed=[], filters=flat if seed else SPECTRUM)
        for spatial in ("learned", "frozen")
        for seed in (0, 1)
    ]
    panels = drawn(drawings.all_drawings(probes), "frequency").axes
    assert [axes.get_title() for axes in panels] == ["filters", "perturbation"]
    learned, frozen = panels[0].get_lines()
    mean = 100 * np.mean([flat, SPECTRUM], axis=0)
    assert learned.get_ydata() == pytest.approx(mean)
    # Equal spectra stand beside each other, around the middle of each band.
    assert (learned.get_xdata() < frozen.get_xdata()).all()
    middle = (learned.get_xdata() + frozen.get_xdata()) / 2
    assert middle[[0, -1]] == pytest.approx([1 / 16, 15 / 16])
    alone = [make_probe(spatial=s, filters=flat) for s in ("learned", "frozen")]
    (line, _) = drawn(drawings.all_drawings(alone), "frequency").axes[0].get_lines()
    assert line.get_ydata().tolist() == [50, 50]


def test_heat_maps_share_their_colours() -> None:
    """The zero frequency is in the middle of the left edge; accuracies are in per cent."""
    heat = np.full((4, 3), 0.5)
    heat[0, 0], heat[1, 2] = 1.0, 0.25
    pair = [make_probe(heat_map=heat.tolist()), make_probe(spatial="frozen")]
    learned, frozen, _ = drawn(drawings.all_drawings(pair), "waves").axes
    (shown,), (other,) = learned.get_images(), frozen.get_images()
    assert shown.get_array()[2, 0] == 100
    assert shown.get_array()[3, 2] == 25
    assert shown.get_clim() == other.get_clim() == (25, 100)
    assert (learned.get_title(), frozen.get_title()) == ("learned", "frozen")
