"""What the drop-in says, on the screen and in its file."""

from __future__ import annotations

from pathlib import Path

import pytest

from robustbench_mix.api.autoattack_log import Log
from robustbench_mix.errors import RbmixError


def test_lines_are_printed_and_appended(tmp_path: Path, capsys) -> None:
    """Also to the file when nothing is printed; a text or a path."""
    path = tmp_path / "log.txt"
    Log(str(path)).log("one")
    Log(path).log("two", quiet=True)
    Log().log("three")
    assert path.read_text() == "one\ntwo\n"
    assert capsys.readouterr().out == "one\nthree\n"


def test_a_file_that_cannot_be_is_refused_at_once(tmp_path: Path) -> None:
    """Before an attack of hours, not after it."""
    with pytest.raises(RbmixError, match="folder .*missing does not exist"):
        Log(tmp_path / "missing" / "log.txt")
    with pytest.raises(RbmixError, match="is a folder"):
        Log(tmp_path)
    assert not list(tmp_path.iterdir())
