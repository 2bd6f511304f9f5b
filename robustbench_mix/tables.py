"""A table and a header in one Parquet file, for records that are no curves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from robustbench_mix.errors import RbmixError
from robustbench_mix.files import replacing, write_text

KEY = b"rbmix"


def write(path: Path, header: dict[str, Any], table: pd.DataFrame, beside: dict[str, Any]) -> None:
    """Write the columns of `table` and `header`, plain JSON values, as its metadata.

    What running again would change, dates and durations, goes `beside`: into a JSON file
    of the same stem, first, so that the records come last.
    """
    import pyarrow as pa
    from pyarrow import parquet

    write_text(path.with_suffix(".json"), json.dumps(beside, sort_keys=True) + "\n")
    columns = pa.Table.from_pandas(table, preserve_index=False)
    metadata = {KEY: json.dumps(header, sort_keys=True).encode()}
    with replacing(path) as temporary:
        parquet.write_table(columns.replace_schema_metadata(metadata), temporary)


def read(path: Path, needs: set[str]) -> tuple[dict[str, Any], pd.DataFrame]:
    """What `write` wrote; raises RbmixError if damaged or if a column of `needs` lacks."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        stored = parquet.read_table(path)
        header = json.loads((stored.schema.metadata or {})[KEY])
        table = pd.DataFrame({name: stored[name].to_pylist() for name in stored.column_names})
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        detail = (str(error).splitlines() or [""])[0][:120]
        raise RbmixError(f"records {path} are damaged ({detail})") from error
    missing = sorted(needs - set(table.columns))
    if missing or not isinstance(header, dict):
        raise RbmixError(f"records {path} are damaged ({', '.join(missing) or 'no header'})")
    return header, table
