"""Records: what is written is read back, and what contradicts itself is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from msgspec import structs

from robustbench_mix.errors import RbmixError
from robustbench_mix.results import records
from robustbench_mix.results.records import Run


def test_round_trip(tmp_path: Path, make_run) -> None:
    """Header, records, date and durations survive."""
    run, path = make_run([0, 1, 2]), tmp_path / "runs" / "digits" / "a.parquet"
    records.write(run, path)
    again = records.read(path)
    assert again.header == run.header
    assert (again.date, again.time_seconds) == (run.date, run.time_seconds)
    pd.testing.assert_frame_equal(again.table, run.table, check_dtype=False)
    assert [r.header.n for r in records.read_all(tmp_path)] == [3]


def test_same_run_same_bytes(tmp_path: Path, make_run) -> None:
    """The Parquet file is a function of header and records; the date lies elsewhere."""
    first, second = tmp_path / "a.parquet", tmp_path / "b.parquet"
    records.write(make_run([0, 1, 2]), first)
    records.write(replace(make_run([0, 1, 2]), date="2030-01-01"), second)
    assert first.read_bytes() == second.read_bytes()
    assert records.read(second).date == "2030-01-01"


def test_survival_falls_along_the_grid(make_run) -> None:
    """Clean-correct and not broken, at 0 and at every epsilon."""
    survived = make_run([0, 1, 2, 2], [True, True, True, False]).standing()
    assert survived.to_dict("list") == {
        "0": [True, True, True, False],
        "1/255": [False, True, True, False],
        "2/255": [False, False, True, False],
    }
    assert survived.index.tolist() == [0, 10, 20, 30]


def test_truncated_records(tmp_path: Path, make_run) -> None:
    """Half a file is damaged, in one line."""
    path = tmp_path / "a.parquet"
    records.write(make_run([0, 1]), path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(RbmixError, match="are damaged") as error:
        records.read(path)
    assert "\n" not in str(error.value)


def test_records_from_before_the_fast_backend(tmp_path: Path, make_run) -> None:
    """A file without the `inferred` lists had nothing to infer."""
    import pyarrow.parquet as pq

    path = tmp_path / "a.parquet"
    records.write(make_run([0, 2]), path)
    pq.write_table(pq.read_table(path).drop_columns("inferred"), path)
    assert records.read(path).table["inferred"].tolist() == [[False, False]] * 2


def test_foreign_parquet(tmp_path: Path) -> None:
    """A Parquet file without our header is refused."""
    path = tmp_path / "a.parquet"
    pd.DataFrame({"x": [1]}).to_parquet(path)
    with pytest.raises(RbmixError, match="are damaged"):
        records.read(path)


def test_damaged_companion(tmp_path: Path, make_run) -> None:
    """A broken JSON file beside the records is named."""
    path = tmp_path / "a.parquet"
    records.write(make_run([0]), path)
    path.with_suffix(".json").write_text("{")
    with pytest.raises(RbmixError, match=r"a\.json is damaged"):
        records.read(path)


def spoil(run: Run, column: str, row: int, value: object) -> Run:
    """The run with one cell changed."""
    table = run.table.copy()
    cells = table[column].tolist()
    cells[row] = value
    table[column] = pd.Series(cells, dtype=table[column].dtype)
    return replace(run, table=table)


@pytest.mark.parametrize(
    ("column", "row", "value", "message"),
    [
        ("image", 1, 0, "not one record for each image"),
        ("broken", 0, [True], "short list"),
        ("broken", 0, [True, False], "not nested"),
        ("correct", 1, False, "not nested"),
    ],
)
def test_contradictions_are_refused(tmp_path: Path, make_run, column, row, value, message) -> None:
    """Records that cannot be true are not turned into numbers."""
    path = tmp_path / "a.parquet"
    records.write(spoil(make_run([0, 1]), column, row, value), path)
    with pytest.raises(RbmixError, match=message):
        records.read(path)


def test_missing_records_are_noticed(tmp_path: Path, make_run) -> None:
    """The header says how many images there are."""
    path = tmp_path / "a.parquet"
    records.write(make_run([0, 1], n=3), path)
    with pytest.raises(RbmixError, match="not one record for each image"):
        records.read(path)


def test_paths_cannot_escape(tmp_path: Path, make_run) -> None:
    """Names with separators stay inside the results folder."""
    header = structs.replace(make_run([0]).header, dataset="../../up", model="a/b:c")
    path = records.run_path(tmp_path, header, "key")
    assert path.resolve().is_relative_to(tmp_path / "runs")
    assert path.parent.parent == tmp_path / "runs"
