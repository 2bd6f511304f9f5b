"""One process at a time, and what a killed one left is removed."""

from __future__ import annotations

from pathlib import Path

import pytest

from robustbench_mix.errors import RbmixError
from robustbench_mix.storage.atomic import partial_suffix
from robustbench_mix.storage.files import replacing
from robustbench_mix.storage.locks import exclusive_lock


def test_what_a_killed_writer_left_is_cleared_away(home: Path, tmp_path: Path) -> None:
    """Its own half-written files and those beside it; no other file's, nor another machine's."""
    path = tmp_path / "run.parquet"
    for name in ("run.parquet", "run.json", "run.partial.json", "runs.parquet", "other.parquet"):
        (tmp_path / f".{name}.abc{partial_suffix()}").write_text("half")
    (tmp_path / ".run.json.abc.elsewhere.part").write_text("half")
    with exclusive_lock(path), replacing(path) as temporary:
        temporary.write_text("whole")
    left = sorted(one.name for one in tmp_path.iterdir() if one.is_file())
    others = (f".{name}.parquet.abc{partial_suffix()}" for name in ("other", "runs"))
    assert left == sorted([*others, ".run.json.abc.elsewhere.part", "run.parquet"])


def test_a_cache_that_cannot_be_locked(tmp_path: Path, monkeypatch) -> None:
    """One line, no traceback."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RBMIX_HOME", str(tmp_path / "file"))
    with (
        pytest.raises(RbmixError, match=r"cannot lock .*file.locks"),
        exclusive_lock(tmp_path / "x.csv"),
    ):
        pass
