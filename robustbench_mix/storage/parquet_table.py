"""Write a table and a header into one Parquet file, and read it without trusting the file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from robustbench_mix.errors import RbmixError
from robustbench_mix.storage import reading, validation
from robustbench_mix.storage.files import replacing, write_text
from robustbench_mix.storage.validation import Header, Positive

KEY = b"rbmix"
MAX_ROWS = 10**6
MAX_VALUES = 10**8  # largest number of values of one column


class TableHeader(Header, frozen=True, kw_only=True):
    """A header of a table with `n` images."""

    n: Positive


H = TypeVar("H", bound=TableHeader)


def write(path: Path, header: TableHeader, table: pd.DataFrame, beside: dict[str, Any]) -> None:
    """Write the columns of `table`, with `header` as JSON in the metadata.

    Args:
        path: The Parquet file.
        header: The header of the table.
        table: One row per image.
        beside: Values that another run would change, dates and durations. They go into a JSON file
            of the same stem, which is written first, so that the records come last.
    """
    import pyarrow as pa
    from pyarrow import parquet

    write_text(path.with_suffix(".json"), json.dumps(beside, sort_keys=True) + "\n")
    columns = pa.Table.from_pandas(table, preserve_index=False)
    metadata = {KEY: validation.encode(header).encode()}
    with replacing(path) as temporary:
        parquet.write_table(columns.replace_schema_metadata(metadata), temporary)


def read(
    path: Path, columns: Mapping[str, str], kind: type[H], optional: Iterable[str] = ()
) -> tuple[H, pd.DataFrame]:
    """Read the header and the columns of a table.

    Args:
        path: The Parquet file.
        columns: The kinds that each column may have, as in `int64|double`; `[bool]` for lists of
            bool; with a `?` if values may be missing.
        kind: The type of the header.
        optional: Columns that may be missing as a whole.

    Returns:
        The header, and a table with one row per image, `header.n` of them.

    Raises:
        RbmixError: The file holds anything else, or would take far more memory than its size.
    """
    raw = reading.read_bytes(path, "records", reading.MAX_RECORDS_BYTES)
    refusal = f"records {path} are damaged"
    plain, values = _opened(raw, columns, set(optional), refusal)
    header = validation.decode(plain, kind, refusal)
    table = pd.DataFrame(values)
    image = table["image"]
    if header.n != len(table) or image.duplicated().any() or image.min() < 0:
        raise RbmixError(f"{refusal} (not one record for each image)")
    return header, table


def _opened(
    raw: bytes, columns: Mapping[str, str], optional: set[str], refusal: str
) -> tuple[Any, dict[str, list[Any]]]:
    import pyarrow as pa
    from pyarrow import parquet

    with reading.refuse_on_error(refusal), parquet.ParquetFile(pa.BufferReader(raw)) as file:
        _check_size(file.metadata)
        schema = file.schema_arrow
        if len(set(schema.names)) < len(schema.names):
            raise ValueError("a column occurs twice")
        chosen = {name: kind for name, kind in columns.items() if name in schema.names}
        if missing := sorted(columns.keys() - chosen.keys() - optional):
            raise ValueError(f"no {missing[0]}")
        for name, kind in chosen.items():
            given = _kind(schema.field(name).type)
            if given not in kind.rstrip("?").split("|") and not (given == "null" and "?" in kind):
                raise ValueError(f"{name} is {given}, not {kind}")
        header = reading.parse_json((schema.metadata or {})[KEY], refusal)
        table = file.read(list(chosen), use_threads=False)
        table.validate(full=True)
        for name, kind in chosen.items():
            column = table[name]
            inner = column.combine_chunks().flatten() if kind.startswith("[") else column
            if "?" not in kind and (column.null_count or inner.null_count):
                raise ValueError(f"{name} lacks values")
        return header, {name: table[name].to_pylist() for name in chosen}


def _check_size(metadata: Any) -> None:
    """Raise ValueError for more rows, values or bytes than records have."""
    groups = [metadata.row_group(at) for at in range(metadata.num_row_groups)]
    sizes = [group.column(at) for group in groups for at in range(metadata.num_columns)]
    if metadata.num_rows > MAX_ROWS:
        raise ValueError(f"{metadata.num_rows:,} rows (allowed: up to {MAX_ROWS:,})")
    if sum(column.total_uncompressed_size for column in sizes) > reading.MAX_RECORDS_BYTES:
        raise ValueError(f"more than {reading.MAX_RECORDS_BYTES:,} bytes when unpacked")
    if any(column.num_values > MAX_VALUES for column in sizes):
        raise ValueError(f"a column has more than {MAX_VALUES:,} values")


def _kind(type_: Any) -> str:
    """Return a type of Arrow in a word, whatever the elements of its lists are called."""
    import pyarrow as pa

    is_list = pa.types.is_list(type_)
    return f"[{_kind(type_.value_type)}]" if is_list else str(type_)


def check_values(path: Path, table: pd.DataFrame, length: int, *, finite: Iterable[str]) -> None:
    """Raise RbmixError for a list of another length or a number that is not finite.

    Args:
        path: The file, for the message.
        table: Its table.
        length: The length of every list.
        finite: The columns that hold finite numbers.
    """
    for name in table:
        first = table[name].iloc[0]
        if isinstance(first, list) and any(len(one) != length for one in table[name]):
            raise RbmixError(f"records {path} are damaged ({name}: a short list)")
    for name in finite:
        if not np.isfinite(np.array(table[name].tolist(), float)).all():
            raise RbmixError(f"records {path} are damaged ({name} is not finite)")


def check_agreement(facts: Iterable[tuple[Path, str, Any]]) -> None:
    """Raise RbmixError if two files contradict each other.

    Args:
        facts: Statements, each a file, a subject and a value. Files with the same subject, for
            example the same hash, must have the same value.
    """
    said: dict[str, tuple[Path, Any]] = {}
    for path, about, what in facts:
        first, known = said.setdefault(about, (path, what))
        if known != what:
            raise RbmixError(f"records {path} contradict {first} ({about})")
