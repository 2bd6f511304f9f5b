"""A result is computed from the records of its run."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from robustbench_mix.api.result import Result
from robustbench_mix.results.intervals import wilson


@pytest.fixture
def result(make_run) -> Result:
    """Five images: one wrong, two broken at the first epsilon, one at the second, one never."""
    return Result(make_run([2, 0, 0, 1, 2], [False, True, True, True, True]))


def test_the_curve_falls_from_the_clean_accuracy(result: Result) -> None:
    """Counts, shares, and Wilson intervals, by the exact text of each epsilon."""
    curve = result.curve
    assert curve.columns.tolist() == ["eps", "n", "correct", "accuracy", "low", "high"]
    assert curve["eps"].tolist() == ["0", "1/255", "2/255"]
    assert curve["correct"].tolist() == [4, 2, 1]
    assert curve["accuracy"].tolist() == [0.8, 0.4, 0.2]
    assert curve["n"].tolist() == [5] * 3
    for low, high, correct in zip(curve["low"], curve["high"], curve["correct"], strict=True):
        assert (low, high) == pytest.approx(wilson(correct, 5))


def test_each_record_says_where_it_broke(result: Result) -> None:
    """The run's own table is left as it is."""
    assert result.records["broken_at"].tolist() == ["0", "1/255", "1/255", "2/255", ""]
    assert "broken_at" not in result.run.table


def test_flags_are_of_the_run(result: Result) -> None:
    """Records without diagnostics are unchecked."""
    assert list(result.flags) == ["unchecked"]
    assert "\nflag unchecked: no diagnostics" in repr(result)


def test_it_prints_its_title_and_its_curve(result: Result) -> None:
    """Numbers with three digits."""
    title, columns, *rows = repr(result).splitlines()
    assert title == "resnet14 on digits, pgd (reference)"
    assert columns.split() == ["eps", "n", "correct", "accuracy", "low", "high"]
    assert [row.split()[:4] for row in rows[:3]] == [
        ["0", "5", "4", "0.800"], ["1/255", "5", "2", "0.400"], ["2/255", "5", "1", "0.200"],
    ]  # fmt: skip


def test_it_draws_into_axes_that_are_given(result: Result) -> None:
    """Per cent, with the epsilons as categories."""
    axes = Figure().add_subplot()
    assert result.plot(axes) is axes
    (line,) = axes.get_lines()
    assert line.get_ydata() == pytest.approx([80, 40, 20])
    assert line.get_xdata() == pytest.approx([0, 1, 2])


@pytest.mark.default
def test_a_notebook_gets_table_drawing_and_flags(make_run) -> None:
    """Names are escaped."""
    html = Result(make_run([0, 2], model="<b>x</b>:y"))._repr_html_()
    assert html.index("<table") < html.index("<svg") < html.index("<ul><li>unchecked: ")
    assert "<b>" not in html


def test_records_that_were_not_kept_have_no_path(make_run) -> None:
    """Those that were know where they are."""
    assert Result(make_run([0])).path is None
    assert Result(make_run([0]), Path("a.parquet")).path == Path("a.parquet")
