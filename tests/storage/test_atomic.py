"""A file is written as a whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from robustbench_mix.errors import RbmixError
from robustbench_mix.storage.files import write_text


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch) -> None:
    """Also where the system finds out only when the file is flushed."""
    path = tmp_path / "table.csv"
    write_text(path, "old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RbmixError, match=r"cannot write .*table.csv: No space left on device"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
