"""Draw charts as SVG for a page: small, with values to read off, in the colours of the page."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from markupsafe import Markup

from robustbench_mix.results import svg
from robustbench_mix.results.curves import Curve
from robustbench_mix.results.svg import Style

WIDTH, HEIGHT = 340, 230  # of a chart, in its own units
LEFT, RIGHT, TOP, BOTTOM = 36, 4, 8, 36  # space around the panel
MOST_TICKS = 6
# The shape of each marker around (0, 0).
SHAPES = {
    "o": "M-3.3 0a3.3 3.3 0 1 0 6.6 0a3.3 3.3 0 1 0 -6.6 0Z", "s": "M-3-3H3V3H-3Z",
    "x": "M-3-3L3 3M-3 3L3-3", "^": "M0-4L3.8 3H-3.8Z", "D": "M0-4.2L4.2 0L0 4.2L-4.2 0Z",
    "v": "M0 4L3.8-3H-3.8Z", "P": "M-1.4-4H1.4V-1.4H4V1.4H1.4V4H-1.4V1.4H-4V-1.4H-1.4Z",
    "<": "M-4 0L3-3.8V3.8Z", ">": "M4 0L-3-3.8V3.8Z",
}  # fmt: skip


@dataclass(frozen=True)
class Axes:
    """The axes of a chart.

    Attributes:
        places: The names of the places on the horizontal axis, as in the curves.
        labels: What is written there.
        title: What the horizontal axis shows.
        unit: The unit of the values, for example `%`.
        limits: The ends of the vertical axis; None to take them from the values, with 0.
    """

    places: list[str]
    labels: list[str]
    title: str
    unit: str
    limits: tuple[float, float] | None = None


def chart(shown: list[Curve], style: dict[str, Style], axes: Axes) -> Markup:
    """Return a chart of curves with 95 % intervals, in percent or points.

    Args:
        shown: The curves.
        style: The style of each series of the figure by its name, also of those not in this chart.
        axes: The axes.
    """
    ends = [100 * end for curve in shown for _, *both in _points(curve, axes) for end in both[1:]]
    ticks = ticks_between(*(axes.limits or (min([*ends, 0.0]), max([*ends, 0.0]))))
    panel = _Panel(len(axes.places), ticks[0], ticks[-1])
    root = ET.Element(
        "svg",
        {"viewBox": f"0 0 {WIDTH} {HEIGHT}", "class": "chart", "role": "img",
         "aria-label": _in_words(shown, axes)},
    )  # fmt: skip
    _draw_axes(root, panel, ticks, axes)
    offsets = dict(zip(style, svg.beside(len(style)), strict=True))
    for curve in shown:
        group = ET.SubElement(root, "g", {"class": series_class(style[curve.name])})
        places = [(at + offsets[curve.name], *values) for at, *values in _points(curve, axes)]
        line = " ".join(f"{panel.x(at):.1f},{panel.y(100 * v[0]):.1f}" for at, *v in places)
        dashes = " ".join(f"{length:g}" for length in style[curve.name].dashes)
        ET.SubElement(
            group, "polyline", {"points": line, **({"stroke-dasharray": dashes} if dashes else {})}
        )
        for (at, *values), (place, *_) in zip(places, _points(curve, axes), strict=True):
            _draw_point(group, panel, at, [100 * v for v in values], style[curve.name]).set(
                "data-tip", f"{curve.label} · {axes.labels[place]} · {_value(values, axes.unit)}"
            )
    return Markup(ET.tostring(root, encoding="unicode"))


def sample(style: Style) -> Markup:
    """Return a short line with the marker of a style, for a legend."""
    root = ET.Element("svg", {"viewBox": "0 0 34 12", "class": "sample", "aria-hidden": "true"})
    group = ET.SubElement(root, "g", {"class": series_class(style)})
    dashes = " ".join(f"{length:g}" for length in style.dashes)
    line = {"points": "0,6 34,6", **({"stroke-dasharray": dashes} if dashes else {})}
    ET.SubElement(group, "polyline", line)
    ET.SubElement(group, "path", {"d": SHAPES[style.marker], "transform": "translate(17 6)"})
    return Markup(ET.tostring(root, encoding="unicode"))


def series_class(style: Style) -> str:
    """Return the class that gives a series its colour in the stylesheet."""
    return f"series s{style.place % len(svg.COLOURS)}"


def ticks_between(low: float, high: float) -> list[float]:
    """Return round numbers at equal distances, from at most `low` to at least `high`."""
    width = (high - low) or 1.0
    power = 10.0 ** math.floor(math.log10(width / MOST_TICKS))
    step = next(
        power * factor
        for factor in (1, 2, 5, 10, 20)
        if math.ceil(high / (power * factor)) - math.floor(low / (power * factor)) < MOST_TICKS
    )
    first, last = math.floor(low / step), max(math.ceil(high / step), math.floor(low / step) + 1)
    return [step * at for at in range(first, last + 1)]


def format_tick(value: float) -> str:
    """Return the shortest text of a round number, without a negative zero."""
    return f"{round(value, 9) + 0.0:g}".replace("-", "\N{MINUS SIGN}")


@dataclass(frozen=True)
class _Panel:
    """Where values lie on the chart."""

    places: int
    low: float
    high: float

    def x(self, place: float) -> float:
        return LEFT + (place + 0.5) * (WIDTH - LEFT - RIGHT) / self.places

    def y(self, value: float) -> float:
        return TOP + (self.high - value) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)


def _points(curve: Curve, axes: Axes) -> list[tuple[int, float, float, float]]:
    """Return place, value and interval of each point that the axes have."""
    return [
        (at, *curve.shares[name]) for at, name in enumerate(axes.places) if name in curve.shares
    ]


def _draw_axes(root: ET.Element, panel: _Panel, ticks: list[float], axes: Axes) -> None:
    for tick in ticks:
        y = f"{panel.y(tick):.1f}"
        zero = {"class": "zero"} if tick == 0 else {"class": "rule"}
        ET.SubElement(
            root, "line", {"x1": str(LEFT), "x2": str(WIDTH - RIGHT), "y1": y, "y2": y, **zero}
        )
        words = {"x": str(LEFT - 4), "y": f"{panel.y(tick) + 4:.1f}", "text-anchor": "end"}
        ET.SubElement(root, "text", words).text = format_tick(tick)
    for at, label in enumerate(axes.labels):
        words = {"x": f"{panel.x(at):.1f}", "y": str(HEIGHT - 21), "text-anchor": "middle"}
        ET.SubElement(root, "text", words).text = label
    words = {"x": str((LEFT + WIDTH) // 2), "y": str(HEIGHT - 5), "text-anchor": "middle"}
    ET.SubElement(root, "text", {**words, "class": "axis"}).text = axes.title


def _draw_point(
    group: ET.Element, panel: _Panel, place: float, values: list[float], style: Style
) -> ET.Element:
    """Draw a value with its interval; return the element that holds both."""
    point, low, high = values
    x = f"{panel.x(place):.1f}"
    mark = ET.SubElement(group, "g")
    ends = {"y1": f"{panel.y(low):.1f}", "y2": f"{panel.y(high):.1f}"}
    ET.SubElement(mark, "line", {"x1": x, "x2": x, **ends})
    at = f"translate({x} {panel.y(point):.1f})"
    ET.SubElement(mark, "path", {"d": SHAPES[style.marker], "transform": at})
    return mark


def _value(values: Iterable[float], unit: str) -> str:
    sign = "" if unit == "%" else "+"
    point, low, high = (f"{100 * value:{sign}.1f}" for value in values)
    return f"{point} {unit} [{low}, {high}]"


def _in_words(shown: list[Curve], axes: Axes) -> str:
    """Describe a chart for readers who cannot see it."""
    parts = [f"{axes.unit} by {axes.title}."]
    for curve in shown:
        values = [
            f"{axes.labels[at]}: {_value(values, axes.unit)}"
            for at, *values in _points(curve, axes)
        ]
        parts.append(f"{curve.label}: {'; '.join(values)}.")
    return " ".join(parts)
