"""Drawings that depend on what is drawn alone."""

from __future__ import annotations

import warnings
from typing import Any
from xml.etree import ElementTree

import pytest

from robustbench_mix.results import svg


def test_twins_have_colours_of_their_own() -> None:
    """The same in every drawing; others take turns, and a name has one colour."""
    found = svg.colours(["box", "frozen", "box", "same", "learned"])
    assert found == {
        "box": svg.OTHERS[0], "frozen": svg.COLOURS["frozen"], "same": svg.OTHERS[1],
        "learned": svg.COLOURS["learned"],
    }  # fmt: skip
    assert svg.colours([]) == {}


def test_colours_start_again_where_there_are_too_many_names() -> None:
    """None is left without."""
    names = [f"n{at}" for at in range(len(svg.OTHERS) + 1)]
    found = svg.colours(names)
    assert found["n0"] == found[names[-1]]
    assert len(set(found.values())) == len(svg.OTHERS)


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
