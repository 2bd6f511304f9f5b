"""Drawings that depend on what is drawn alone."""

from __future__ import annotations

import warnings
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from robustbench_mix.results import svg


def test_twins_have_styles_of_their_own() -> None:
    """The same in every drawing; others take turns, and a name has one style."""
    found = svg.styles(["box", "frozen", "box", "same", "learned"])
    places = {name: style.place for name, style in found.items()}
    assert places == {"learned": 0, "frozen": 1, "box": 3, "same": 4}
    assert svg.styles([]) == {}


def test_no_two_of_many_series_look_alike() -> None:
    """Neighbours differ in all; a colour that comes again has other dashes."""
    found = list(svg.styles([f"n{at}" for at in range(40)]).values())
    looks = [(one.colour, one.marker, one.dashes) for one in found]
    assert len(set(looks)) == len(looks)
    for one, other in pairwise(found):
        assert one.colour != other.colour
        assert one.marker != other.marker
        assert one.dashes != other.dashes


def test_series_stand_beside_each_other() -> None:
    """Around the place, and within it however many there are."""
    assert svg.beside(1) == [0]
    assert svg.beside(2) == pytest.approx([-0.08, 0.08])
    many = svg.beside(20)
    assert len(set(many)) == 20
    assert max(many) - min(many) < 0.75
    assert sum(many) == pytest.approx(0)


@pytest.mark.default
def test_the_same_drawing_gives_the_same_text() -> None:
    """Without date or names of this machine; text stays text, and dollars are no formula."""

    def draw(figure: Any) -> None:
        figure.text(0.5, 0.5, "$x$ \u4e2d")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text = svg.render(draw)
    assert svg.render(draw) == text
    root = ElementTree.fromstring(text)
    assert "$x$ \u4e2d" in "".join(root.itertext())
    assert root.attrib["width"] == f"{72 * svg.SIZE[0]:g}pt"
    assert "<dc:date>" not in text
    assert svg.render(lambda figure: figure.suptitle("other")) != text


@pytest.mark.default
@pytest.mark.parametrize("word", ["a", "learned, channel frozen, 50,000 x 20, 12 seeds"])
def test_a_legend_stays_within_the_figure(word: str) -> None:
    """In four columns, or in as many as its names leave room for."""
    figure = Figure(figsize=svg.SIZE, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for at in range(13):
        axes.plot([0, 1], [at, at], label=f"{word}{at}")
    svg.legend_below(figure, axes)
    figure.draw_without_rendering()
    (legend,) = figure.legends
    box, whole = legend.get_window_extent(), figure.bbox
    assert whole.x0 <= box.x0 < box.x1 <= whole.x1
    assert axes.get_window_extent().height > 0.4 * whole.height
    columns = {round(text.get_window_extent().x0) for text in legend.get_texts()}
    assert len(columns) == (4 if word == "a" else 1)
