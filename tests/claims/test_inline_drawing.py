"""Drawings of matplotlib within the page."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pytest

from robustbench_mix.claims.report.inline_drawing import inline

pytestmark = pytest.mark.default


def draw(figure: Any) -> None:
    """A line with a title."""
    axes = figure.add_subplot()
    axes.plot([0, 1.23456], [0, 1], "o")
    axes.set_title("a < b")


def test_it_has_the_colours_of_the_page_and_names_of_its_own() -> None:
    """No black on white, and no name that another drawing has too."""
    text = inline(draw, "one", 'say "so" <b>')
    root = ElementTree.fromstring(text.replace("xlink:href", "href"))
    assert root.attrib["aria-label"] == 'say "so" <b>'
    assert "width" not in root.attrib
    assert "a < b" in "".join(root.itertext())
    assert "<style" not in text  # it would be one of the whole page
    assert "#000000" not in text
    assert "#ffffff" not in text
    names = set(re.findall(r'\bid="([^"]+)"', text))
    assert all(name.startswith("one-") for name in names)
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', text)) <= names
    other = set(re.findall(r'\bid="([^"]+)"', inline(draw, "two", "")))
    assert not names & other
    assert not re.search(r"\d\.\d\d", text)
