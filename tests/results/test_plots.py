"""Robustness curves as drawings."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from matplotlib.figure import Figure
from measured import make_unshuffling

from robustbench_mix.results import gallery, plots, unshuffling
from robustbench_mix.storage import parquet_table


@pytest.mark.default
def test_plot_is_an_svg_with_every_curve(results: Path) -> None:
    """The drawing names the variants and the epsilons."""
    paths = plots.write(results)
    assert sorted(path.name for path in paths) == [
        "digits-my.net_make-pgd-reference.svg",
        "digits-resnet14-pgd-reference.svg",
    ]
    text = "".join(
        ElementTree.parse(results / "curves" / "digits-resnet14-pgd-reference.svg")
        .getroot()
        .itertext()
    )
    for word in ("learned", "frozen", "1/255", "minus learned", "resnet14 on digits, pgd"):
        assert word in text


def test_twins_do_not_hide_each_other(make_run) -> None:
    """Equal curves stand beside each other, and differ in marker, dashes and colour."""
    runs = [make_run([0, 0, 2, 2]), make_run([0, 0, 2, 2], spatial="frozen")]
    figure = Figure()
    plots.figure(runs, figure)
    accuracies, apart = figure.axes
    first, second = (container.lines[0] for container in accuracies.containers)
    assert list(first.get_ydata()) == list(second.get_ydata())
    assert not set(first.get_xdata()) & set(second.get_xdata())
    for look in ("get_marker", "get_color", "get_linestyle"):
        assert getattr(first, look)() != getattr(second, look)()
    (frozen,) = (container.lines[0] for container in apart.containers)
    assert list(frozen.get_ydata()) == [0, 0, 0]
    assert frozen.get_color() == second.get_color()
    # The epsilons are categories at equal distances.
    assert [round(x) for x in first.get_xdata()] == [0, 1, 2]
    assert [text.get_text() for text in accuracies.get_xticklabels()] == ["0", "1", "2"]
    assert "1/255" in accuracies.get_xlabel()


def test_a_refresh_derives_the_un_shufflings_too(results: Path) -> None:
    """What belongs to the records is made again, whichever command made them."""
    one = make_unshuffling()
    path = unshuffling.path_for(results, "digits", one.header.model, "learned", 0, "k")
    parquet_table.write(path, one.header, one.table, {})
    assert results / gallery.NAME in plots.refresh(results)
    assert gallery.stale(results) == []
