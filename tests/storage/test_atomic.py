"""A file is written as a whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from robustbench_mix.errors import RbmixError
from robustbench_mix.storage.atomic import error_reason, partial_suffix, replacing
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


def test_the_file_appears_when_the_block_is_over(tmp_path: Path) -> None:
    """In a folder that is made for it; until then another name beside it is written."""
    path = tmp_path / "new" / "folder" / "a.txt"
    with replacing(path) as temporary:
        temporary.write_text("whole")
        assert temporary.parent == path.parent
        assert temporary.name.startswith(".a.txt.")
        assert temporary.name.endswith(partial_suffix())
        assert not path.exists()
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_the_mode_is_that_of_any_new_file(tmp_path: Path) -> None:
    """Not the private one of temporary files."""
    before = os.umask(0o027)
    try:
        with replacing(tmp_path / "a.txt") as temporary:
            temporary.write_text("x")
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("name", ["file/a.txt", "a\0b.txt"])
def test_where_nothing_can_be_written(tmp_path: Path, name: str) -> None:
    """A file in place of the folder, and a name that no file has."""
    (tmp_path / "file").write_text("")
    with pytest.raises(RbmixError, match="cannot write"), replacing(tmp_path / name):
        pytest.fail("the block was entered")
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_the_suffix_names_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """In characters that every system takes, and not too many of them."""
    monkeypatch.setattr("socket.gethostname", lambda: "node 7/a.b")
    assert partial_suffix() == ".node_7_a_b.part"
    monkeypatch.setattr("socket.gethostname", lambda: "n" * 200)
    assert partial_suffix() == f".{'n' * 40}.part"


def test_the_reason_is_the_systems() -> None:
    """Or the error's own message."""
    assert error_reason(OSError(28, "No space left on device")) == "No space left on device"
    assert error_reason(ValueError("embedded null byte")) == "embedded null byte"
