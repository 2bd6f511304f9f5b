"""Drawings that depend on what is drawn alone."""

from __future__ import annotations

import warnings
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import pytest

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
