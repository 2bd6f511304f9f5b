"""Rows, tables and plots as pure functions of the records."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from robustbench_mix.errors import RbmixError
from robustbench_mix.results import leaderboard, records
from robustbench_mix.results import plots as plot


def test_rows_are_tidy_and_unrounded(results: Path) -> None:
    """One row per run and epsilon, numbers that read back as numbers, epsilon as text."""
    leaderboard.write(results)
    frame = pd.read_csv(results / "leaderboard.csv", dtype={"eps": str})
    assert frame.columns.tolist() == leaderboard.COLUMNS
    assert len(frame) == 4 * 3
    frozen = frame[(frame.spatial == "frozen") & (frame.seed == 0)]
    assert frozen.eps.tolist() == ["0", "1/255", "2/255"]
    assert frozen.correct.tolist() == [8, 7, 6]
    assert frozen.accuracy.tolist() == [1.0, 0.875, 0.75]
    assert frame.n.dtype.kind == "i"
    assert frame.date.unique().tolist() == ["2026-01-31"]


def test_flags_stand_in_the_row(make_run) -> None:
    """In the last column, and unchecked where nobody looked."""
    text = leaderboard.to_markdown([make_run([0, 2])])
    assert text.splitlines()[-1].endswith("| unchecked |")
    assert leaderboard.rows([make_run([0, 2])])["flags"].unique().tolist() == ["unchecked"]


def test_no_row_twice(results: Path) -> None:
    """The identifying columns name each row uniquely."""
    rows = leaderboard.rows(records.read_all(results))
    assert not rows.duplicated([*leaderboard.CELL, "eps"]).any()


def test_pairs_stand_together_with_their_difference(results: Path) -> None:
    """The frozen line follows the learned one, its paired difference follows it."""
    text = leaderboard.to_markdown(records.read_all(results))
    lines = [line for line in text.splitlines() if line.startswith("| resnet14")]
    assert "| learned | learned | 0 |" in lines[0]
    assert "| frozen | learned | 0 |" in lines[1]
    difference = text.splitlines()[text.splitlines().index(lines[1]) + 1]
    assert "*difference*" in difference
    # One image gained at each epsilon, none lost: +12.5 points of 8 images.
    assert "+0.0 [" in difference
    assert difference.count("+12.5 [") == 2
    assert text.count("| *difference*") == 1


def test_regenerating_gives_the_same_bytes(results: Path) -> None:
    """Everything derived may be deleted."""
    leaderboard.write(results)
    plots = plot.write(results)
    paths = [results / "leaderboard.csv", results / "leaderboard.md", *plots]
    before = [path.read_bytes() for path in paths]
    for path in paths:
        path.unlink()
    leaderboard.write(results)
    plot.write(results)
    assert [path.read_bytes() for path in paths] == before


def test_stale_leaderboards_are_found(results: Path, make_run) -> None:
    """A missing, edited or outdated file is reported; a fresh one is not."""
    assert len(leaderboard.stale(results)) == 2
    leaderboard.write(results)
    assert leaderboard.stale(results) == []
    markdown = results / "leaderboard.md"
    markdown.write_text(markdown.read_text().replace("87.5", "97.5"))
    assert leaderboard.stale(results) == [markdown]
    leaderboard.write(results)
    records.write(
        make_run([0, 0], seed=9, data_hash="e"), results / "runs" / "digits" / "new.parquet"
    )
    assert len(leaderboard.stale(results)) == 2


def test_empty_and_missing_results(tmp_path: Path) -> None:
    """Nothing to rank is said in one line."""
    with pytest.raises(RbmixError, match="holds no records"):
        leaderboard.write(tmp_path)
    with pytest.raises(RbmixError, match="does not exist"):
        leaderboard.stale(tmp_path / "nowhere")


@pytest.mark.default
def test_no_import_of_torch_for_the_table(results: Path) -> None:
    """The leaderboard is made without torch."""
    code = (
        "import sys; from robustbench_mix.cli import main; "
        f"code = main(['leaderboard', {str(results)!r}]); "
        "sys.exit(code or 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=results)
    assert done.returncode == 0, done.stderr
    assert "wrote" in done.stdout


def test_csv_survives_odd_names(make_run) -> None:
    """Commas and quotes in a user's model name do not break the table."""
    run = make_run([0], model='a,"b":c')
    frame = pd.read_csv(io.StringIO(leaderboard.to_csv([run])))
    assert frame.model.tolist() == ['a,"b":c'] * 3


@pytest.mark.default
def test_committed_results_match_their_records(checkout: Path) -> None:
    """The leaderboard in the repository is what its records give."""
    assert leaderboard.stale(checkout / "results") == []
