"""Tables with a header in one file: written whole, and read with suspicion."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from robustbench_mix.errors import RbmixError
from robustbench_mix.storage import parquet_table
from robustbench_mix.storage.parquet_table import TableHeader


class Words(TableHeader, frozen=True, kw_only=True):
    """A header with something to say."""

    word: str


HEADER = Words(n=2, word="ü")
COLUMNS = {"image": "int64", "margin": "int64|double", "broken": "[bool]", "passes": "int64?"}
TABLE = pd.DataFrame(
    {
        "image": [4, 7],
        "margin": [0.5, -1.0],
        "broken": [[True, False], [False, False]],
        "passes": pd.array([3, None], dtype="Int64"),
    }
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a table is written to."""
    return tmp_path / "a.parquet"


def test_what_is_written_is_read(path: Path) -> None:
    """In the same bytes each time; what running again would change is beside it."""
    parquet_table.write(path, HEADER, TABLE, {"time_seconds": 1.5, "date": "today"})
    before = path.read_bytes()
    header, table = parquet_table.read(path, COLUMNS, Words)
    assert header == HEADER
    assert table["image"].tolist() == [4, 7]
    assert table["broken"].tolist() == [[True, False], [False, False]]
    assert [None if pd.isna(one) else one for one in table["passes"]] == [3, None]
    parquet_table.write(path, HEADER, TABLE, {"time_seconds": 2.5})
    assert path.read_bytes() == before
    assert json.loads(path.with_suffix(".json").read_text()) == {"time_seconds": 2.5}


def test_columns_that_nobody_asks_for_are_left_out(path: Path) -> None:
    """And optional ones may be missing."""
    parquet_table.write(path, HEADER, TABLE, {})
    wanted = {"image": "int64", "later": "double"}
    _, table = parquet_table.read(path, wanted, Words, optional=["later"])
    assert list(table) == ["image"]
    with pytest.raises(RbmixError, match=r"records .*a.parquet are damaged \(no later\)"):
        parquet_table.read(path, wanted, Words)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": [4, 4]}, "not one record for each image"),
        ({"image": [-1, 4]}, "not one record for each image"),
        ({"image": ["a", "b"]}, "image is (large_)?string, not int64"),
        ({"margin": [0.5, None]}, "margin lacks values"),
        ({"margin": [[0.5], [0.5]]}, r"margin is \[double\], not int64\|double"),
        ({"broken": [[True], [None]]}, "broken lacks values"),
        ({"passes": [0.5, 1.0]}, r"passes is double, not int64\?"),
    ],
)
def test_columns_of_another_kind(path: Path, change: dict, message: str) -> None:
    """One line that names the column."""
    columns = {name: pa.array(TABLE[name].tolist(), from_pandas=True) for name in TABLE}
    columns["passes"] = pa.array([3, None])
    columns |= {name: pa.array(values) for name, values in change.items()}
    metadata = {parquet_table.KEY: b'{"n": 2, "word": "x"}'}
    parquet.write_table(pa.table(columns).replace_schema_metadata(metadata), path)
    with pytest.raises(RbmixError, match=rf"records .*a.parquet are damaged \({message}\)"):
        parquet_table.read(path, COLUMNS, Words)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b'{"n": 3, "word": "x"}', "not one record for each image"),
        (b'{"n": 0, "word": "x"}', "n = 0"),
        (b'{"n": 2}', "word = None"),
        (b"{", "Expecting"),
        (b"[]", "no header"),
        (None, "rbmix"),
    ],
)
def test_headers_of_another_kind(path: Path, header: bytes | None, message: str) -> None:
    """What is absent, or contradicts the table."""
    table = pa.table({"image": [4, 7]})
    metadata = {} if header is None else {parquet_table.KEY: header}
    parquet.write_table(table.replace_schema_metadata(metadata), path)
    with pytest.raises(RbmixError, match=f"are damaged .*{message}"):
        parquet_table.read(path, {"image": "int64"}, Words)


def test_more_than_records_have(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows, values of a column and unpacked bytes are counted before any is unpacked."""
    parquet_table.write(path, HEADER, TABLE, {})
    for limit, message in (("MAX_ROWS", r"2 rows \(allowed: up to 1\)"), ("MAX_VALUES", "values")):
        with monkeypatch.context() as patch:
            patch.setattr(parquet_table, limit, 1)
            with pytest.raises(RbmixError, match=message):
                parquet_table.read(path, COLUMNS, Words)
    many = pa.table({"image": [4, 7], "word": ["a" * 10**6] * 2})
    parquet.write_table(many, path)  # a few thousand bytes
    monkeypatch.setattr(parquet_table.reading, "MAX_RECORDS_BYTES", 100_000)
    with pytest.raises(RbmixError, match="more than 100,000 bytes when unpacked"):
        parquet_table.read(path, {"image": "int64"}, Words)


def test_a_file_of_another_format(path: Path) -> None:
    """Is damaged, like one that is cut short."""
    parquet_table.write(path, HEADER, TABLE, {})
    for raw in (b"", b"PAR1", path.read_bytes()[:-9]):
        path.write_bytes(raw)
        with pytest.raises(RbmixError, match="records .*a.parquet are damaged"):
            parquet_table.read(path, COLUMNS, Words)


def test_lists_and_numbers_are_checked(path: Path) -> None:
    """By the length of the grid, and for infinity and NaN."""
    parquet_table.check_values(path, TABLE, 2, finite=["margin"])
    with pytest.raises(RbmixError, match=r"are damaged \(broken: a short list\)"):
        parquet_table.check_values(path, TABLE, 3, finite=[])
    for value in (float("nan"), float("inf")):
        wrong = TABLE.assign(margin=[0.5, value])
        with pytest.raises(RbmixError, match=r"are damaged \(margin is not finite\)"):
            parquet_table.check_values(path, wrong, 2, finite=["margin"])


def test_files_that_contradict_each_other() -> None:
    """Both are named, and what they speak of; other files say the same twice."""
    one, two = Path("one.parquet"), Path("two.parquet")
    parquet_table.check_agreement([(one, "image 3", 5), (two, "image 3", 5), (two, "image 4", 6)])
    with pytest.raises(RbmixError, match=r"two.parquet contradict one.parquet \(image 3\)"):
        parquet_table.check_agreement([(one, "image 3", 5), (two, "image 3", 6)])
