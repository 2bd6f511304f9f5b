"""Charts of the report: every value is there to see, to read and to point at."""

from __future__ import annotations

import re
from importlib import resources
from xml.etree import ElementTree

import pytest

from robustbench_mix.claims.report import charts
from robustbench_mix.claims.report.charts import Axes
from robustbench_mix.results import svg
from robustbench_mix.results.curves import Curve

GRID = ["0", "1/255", "2/255"]


def curve(name: str, *shares: float) -> Curve:
    """A curve with intervals of 0.1 to both sides."""
    return Curve(name, 3, 9, {e: (s, s - 0.1, s + 0.1) for e, s in zip(GRID, shares, strict=False)})


def drawn(*shown: Curve, limits: tuple[float, float] | None = (0, 100), unit: str = "%"):
    """The chart of these curves as a tree."""
    style = svg.styles([one.name for one in shown])
    axes = Axes(GRID, ["0", "1", "2"], "epsilon, 1/255", unit, limits)
    return ElementTree.fromstring(charts.chart(list(shown), style, axes))


def test_each_point_has_its_value() -> None:
    """At the pointer, and in the words for those who cannot see the chart."""
    root = drawn(curve("learned", 0.9, 0.5, 0.2), curve("<b>", 0.9, 0.5))
    tips = [mark.attrib["data-tip"] for mark in root.iter() if "data-tip" in mark.attrib]
    assert len(tips) == 5
    assert tips[1] == "learned, 3 seeds · 1 · 50.0 % [40.0, 60.0]"
    assert tips[4] == "<b>, 3 seeds · 1 · 50.0 % [40.0, 60.0]"
    assert "learned, 3 seeds: 0: 90.0 % [80.0, 100.0]; 1: 50.0" in root.attrib["aria-label"]


def test_equal_curves_do_not_hide_each_other() -> None:
    """They stand beside each other, in other colours, shapes and dashes."""
    root = drawn(curve("learned", 0.9, 0.5, 0.2), curve("frozen", 0.9, 0.5, 0.2))
    one, other = root.findall("g")
    assert one.attrib["class"] != other.attrib["class"]
    lines = [group.find("polyline") for group in (one, other)]
    assert lines[0].attrib["points"] != lines[1].attrib["points"]
    assert lines[0].attrib.get("stroke-dasharray") != lines[1].attrib.get("stroke-dasharray")
    shapes = [group.find("g/path").attrib["d"] for group in (one, other)]
    assert shapes[0] != shapes[1]


def test_nothing_lies_outside_the_chart() -> None:
    """Neither values nor axes, with limits of its own or from the values."""
    for limits in ((0, 100), None):
        root = drawn(curve("a", 0.9, 0.1, -0.3), curve("b", 0.2, 0.2, 0.2), limits=None)
        for line in root.iter("line"):
            for name, end in (("x1", charts.WIDTH), ("y1", charts.HEIGHT), ("y2", charts.HEIGHT)):
                assert 0 <= float(line.attrib[name]) <= end, limits


def test_differences_have_signs_and_a_line_at_zero() -> None:
    """Also if all are on one side of it."""
    root = drawn(curve("frozen", 0.5, 0.4, 0.3), limits=None, unit="points")
    tips = [mark.attrib["data-tip"] for mark in root.iter() if "data-tip" in mark.attrib]
    assert tips[0].endswith("+50.0 points [+40.0, +60.0]")
    assert sum(line.attrib.get("class") == "zero" for line in root.iter("line")) == 1


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(0, 100, [0, 20, 40, 60, 80, 100]), (-3.4, 6.0, [-4, -2, 0, 2, 4, 6]), (0, 0, [0, 0.1])],
)
def test_ticks_are_round_and_hold_all(low: float, high: float, ticks: list[float]) -> None:
    """At most six of them."""
    found = charts.ticks_between(low, high)
    assert found[: len(ticks)] == pytest.approx(ticks)
    assert len(found) <= charts.MOST_TICKS
    assert found[0] <= low
    assert found[-1] >= high
    assert charts.format_tick(-0.0) == "0"
    assert charts.format_tick(-2.5) == "\N{MINUS SIGN}2.5"


def test_every_style_has_a_colour_and_a_shape() -> None:
    """In the light and in the dark."""
    css = (resources.files("robustbench_mix.claims") / "pages" / "report.css").read_text("utf-8")
    for place, colour in enumerate(svg.COLOURS):
        assert f".s{place} {{ --c: var(--c{place}); }}" in css
        light, dark = re.findall(rf"--c{place}: (#\w+);", css)
        assert len({light, dark, colour.lower()}) >= (1 if light == dark else 2)
    assert set(charts.SHAPES) == set(svg.MARKERS)
    samples = {charts.sample(svg.Style(place)) for place in range(len(svg.COLOURS))}
    assert len(samples) == len(svg.COLOURS)
