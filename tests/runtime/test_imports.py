"""Code that a word names."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from robustbench_mix.errors import RbmixError
from robustbench_mix.runtime.imports import import_word


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with a module of the user's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "wordmod", raising=False)
    (tmp_path / "wordmod.py").write_text("class Inner:\n    value = 3\n")
    (tmp_path / "wordbad.py").write_text("import sys\nsys.exit('no')\n")


def test_the_current_folder_comes_first() -> None:
    """And attributes of attributes are found."""
    assert import_word("wordmod:Inner.value", "model") == 3


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("wordmod:nothing", "AttributeError: module 'wordmod' has no attribute 'nothing'"),
        ("nowhere_at_all:x", "ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("wordbad:x", "SystemExit: no"),
    ],
)
def test_what_cannot_be_imported_is_one_line(word: str, words: str) -> None:
    """Whatever the module raises."""
    with pytest.raises(RbmixError, match=rf"^cannot import data set '{word}': {words}$"):
        import_word(word, "data set")
