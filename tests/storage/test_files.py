"""Names of files, whole writes, and who wrote what."""

from __future__ import annotations

from pathlib import Path

import pytest

from robustbench_mix.errors import RbmixError
from robustbench_mix.storage import atomic, files


@pytest.mark.parametrize(
    ("text", "name"),
    [("resnet14_w4", "resnet14_w4"), ("a/b:c", "a_b_c"), ("..", "_."), (".hidden", "_hidden")],
)
def test_a_safe_name_leads_nowhere_else(text: str, name: str) -> None:
    """What a system may not take becomes `_`."""
    assert files.safe_name(text) == name


def test_long_names_stay_apart() -> None:
    """By a hash of the whole, at a length that every system takes."""
    one, two = files.safe_name("a" * 1000), files.safe_name("a" * 1001)
    assert one != two
    assert len(one) == len(two) == files.MAX_NAME_CHARACTERS


def test_a_failure_leaves_the_old_file(tmp_path: Path) -> None:
    """And nothing half-written beside it."""
    path = tmp_path / "a.txt"
    files.write_text(path, "old\n")
    with pytest.raises(KeyError), files.replacing(path) as temporary:
        temporary.write_text("half")
        raise KeyError
    assert path.read_text() == "old\n"
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_written_is_recorded(tmp_path: Path) -> None:
    """Only what differs is written, and every recorder that is open sees it."""
    path, same = tmp_path / "a.txt", tmp_path / "b.txt"
    files.write_text(same, "same")
    with files.record_written_files() as outer, files.record_written_files() as inner:
        assert files.files_that_differ({path: "new", same: "same"}) == [path]
        assert files.write_if_changed({path: "new", same: b"same"}) == [path]
    files.write_text(tmp_path / "c.txt", "later")
    assert outer == inner == {path}


def test_a_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    """A file is no folder."""
    (tmp_path / "file").write_text("")
    with pytest.raises(RbmixError, match="cannot write to .*file"):
        files.check_writable(tmp_path / "file")
    assert atomic.partial_suffix().endswith(".part")
