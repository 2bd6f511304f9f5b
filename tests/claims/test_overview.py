"""All explanations, in the order of the argument."""

from __future__ import annotations

from pathlib import Path

import pytest
from measured import make_probe, make_transfer

from robustbench_mix.claims.explanations import overview
from robustbench_mix.errors import RbmixError
from robustbench_mix.results import probes
from robustbench_mix.storage import parquet_table

NAMES = [
    "strength", "linearity", "transfer", "controls", "static", "distances", "frequency", "waves",
    "capacity",
]  # fmt: skip


def test_without_records_every_explanation_is_there_and_empty() -> None:
    """So that a reader sees what could be shown."""
    found = overview.all_explanations([], [], [])
    assert [one.name for one in found] == NAMES
    assert not any(one.rows or one.drawings for one in found)
    assert all(one.shows.endswith(".") and one.cannot.endswith(".") for one in found)


def test_drawings_go_to_the_explanation_they_are_named_after() -> None:
    """One of each for a pair; rows have a cell for each column."""
    pair = [make_probe(), make_probe(spatial="frozen")]
    found = overview.all_explanations([], pair, [make_transfer()])
    drawn = {one.name: [each.name for each in one.drawings] for one in found if one.drawings}
    assert drawn == {name: [name] for name in ("distances", "frequency", "waves")}
    filled = {one.name for one in found if one.rows}
    assert filled == {"linearity", "transfer", "distances", "frequency", "waves"}
    for one in found:
        assert all(len(row) == len(one.columns) for row in one.rows), one.name


def test_probes_are_read_from_the_folder(tmp_path: Path) -> None:
    """As the same records in memory; a damaged one is named."""
    pair, between = [make_probe(), make_probe(spatial="frozen")], make_transfer()
    for one in (*pair, between):
        path = probes.path_for(tmp_path, one.header, "k")
        path.parent.mkdir(parents=True, exist_ok=True)
        parquet_table.write(path, one.header, one.table, {})
    wanted = overview.all_explanations([], pair, [between])
    found = overview.explanations_of(tmp_path, [])
    assert [one.rows for one in found] == [one.rows for one in wanted]
    some = overview.of_files([*tmp_path.rglob("*.parquet")])
    assert {one.name: one.rows for one in some} == {
        one.name: one.rows for one in wanted if one.rows
    }
    path.write_bytes(b"PAR1")
    with pytest.raises(RbmixError, match="are damaged"):
        overview.explanations_of(tmp_path, [])
