"""A result is computed from the records of its run."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

from robustbench_mix.api.result import Result
from robustbench_mix.errors import RbmixError
from robustbench_mix.results.intervals import paired_difference, wilson


@pytest.fixture
def result(make_run) -> Result:
    """Five images: one wrong, two broken at the first epsilon, one at the second, one never."""
    return Result(make_run([2, 0, 0, 1, 2], [False, True, True, True, True]))


def test_the_curve_falls_from_the_clean_accuracy(result: Result) -> None:
    """Counts, shares, and Wilson intervals, by the exact text of each epsilon."""
    curve = result.curve
    assert curve.columns.tolist() == ["eps", "eps_text", "n", "correct", "accuracy", "low", "high"]
    assert curve["eps"].tolist() == [0, 1 / 255, 2 / 255]
    assert curve["eps_text"].tolist() == ["0", "1/255", "2/255"]
    assert curve["correct"].tolist() == [4, 2, 1]
    assert curve["accuracy"].tolist() == [0.8, 0.4, 0.2]
    assert curve["n"].tolist() == [5] * 3
    for low, high, correct in zip(curve["low"], curve["high"], curve["correct"], strict=True):
        assert (low, high) == pytest.approx(wilson(correct, 5))


def test_each_record_says_where_it_broke(result: Result) -> None:
    """The run's own table is left as it is."""
    *broken, never = result.records["broken_at"]
    assert broken == [0, 1 / 255, 1 / 255, 2 / 255]
    assert math.isnan(never)
    assert "broken_at" not in result.run.table


def test_flags_are_of_the_run(result: Result) -> None:
    """Records without diagnostics are unchecked."""
    assert list(result.flags) == ["unchecked"]
    assert "\nflag unchecked: no diagnostics" in repr(result)


def test_it_prints_its_title_and_its_curve(result: Result) -> None:
    """Numbers with three digits."""
    title, columns, *rows = repr(result).splitlines()
    assert title == "resnet14 on digits, pgd (reference)"
    assert repr(replace(result, name="mine")).startswith(f"mine: {title}\n")
    assert columns.split() == ["eps", "eps_text", "n", "correct", "accuracy", "low", "high"]
    assert [row.split()[:5] for row in rows[:3]] == [
        ["0.000", "0", "5", "4", "0.800"],
        ["0.004", "1/255", "5", "2", "0.400"],
        ["0.008", "2/255", "5", "1", "0.200"],
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


def test_the_difference_is_paired_and_this_one_minus_the_other(make_run) -> None:
    """Epsilons are compared by value; other images or another norm are refused."""
    one = Result(make_run([2, 0, 1, 1, 2], [False, True, True, True, True]))
    two = Result(make_run([2, 0, 0, 0, 2], [False, True, True, True, True], eps=["2/510", "3/255"]))
    table = one.difference(two)
    assert table["eps_text"].tolist() == ["0", "1/255"]
    assert table["eps"].tolist() == [0, 1 / 255]
    assert table["difference"].tolist() == pytest.approx([0, 0.4])
    assert table[["accuracy", "other_accuracy"]].to_numpy()[1] == pytest.approx([0.6, 0.2])
    kept = [one.run.standing()["1/255"].to_numpy(), two.run.standing()["2/510"].to_numpy()]
    assert table[["low", "high"]].to_numpy()[1] == pytest.approx(paired_difference(*kept[::-1])[1:])
    with pytest.raises(RbmixError, match="differ in norm"):
        one.difference(Result(make_run([2], norm="l2")))
    with pytest.raises(RbmixError, match="only results on the same images"):
        one.difference(Result(make_run([2], data_hash="other")))


def test_a_result_is_saved_and_loaded(result: Result, tmp_path: Path) -> None:
    """Curve, records and header come back; what is not Parquet is refused before it is written."""
    path = result.save(tmp_path / "new" / "mine.parquet")
    back = Result.load(str(path), name="mine")
    assert (back.path, back.name) == (path, "mine")
    assert back.run.header == result.run.header
    pd.testing.assert_frame_equal(back.curve, result.curve)
    pd.testing.assert_frame_equal(back.records, result.records, check_dtype=False)
    for wrong in (tmp_path / "mine.csv", tmp_path / "mine"):
        with pytest.raises(RbmixError, match="does not end in .parquet"):
            result.save(wrong)
        assert not wrong.exists()
    with pytest.raises(RbmixError, match="nothing"):
        Result.load(tmp_path / "nothing.parquet")
