"""The folder of results, messages, and the answer of a command."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import pytest

from robustbench_mix.cli import answers
from robustbench_mix.errors import RbmixError
from robustbench_mix.runtime import progress


def test_a_folder_has_to_be_there(tmp_path: Path) -> None:
    """A file is none."""
    assert answers.require_folder(tmp_path) == tmp_path
    (tmp_path / "file").touch()
    for name in ("file", "nowhere"):
        with pytest.raises(RbmixError, match=f"{name} does not exist"):
            answers.require_folder(tmp_path / name)


def test_the_usual_folder_is_said_where_it_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    """In a checkout; a folder that was named is taken without a word."""
    monkeypatch.chdir(tmp_path)
    assert answers.choose_folder(Path("x"), False) == Path("x")
    assert answers.choose_folder(None, False) == Path("results")
    assert answers.choose_folder(None, False, "a", "b") == Path("results/a/b")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(answers, "default_results_folder", lambda: Path("elsewhere"))
    assert answers.choose_folder(None, False, "a") == Path("elsewhere/a")
    assert "kept in elsewhere" in capsys.readouterr().err
    assert answers.choose_folder(None, True) == Path("elsewhere")
    assert capsys.readouterr().err == ""
    assert progress.is_quiet()


def test_loading_torch_is_said_once(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """Not where it is there, and not where nothing is to be said."""
    answers.load_torch(False)
    assert capsys.readouterr().err == ""
    monkeypatch.delitem(sys.modules, "torch")
    answers.load_torch(True)
    assert capsys.readouterr().err == ""
    answers.load_torch(False)
    assert capsys.readouterr().err == "loading PyTorch\n"
    assert logging.getLogger("robustbench_mix").isEnabledFor(logging.INFO)


def test_an_answer_is_json_or_for_people_or_nothing(capsys) -> None:
    """JSON has no NaN and no infinity, and comes even where all else is quiet."""
    data = {"a": [1.5, float("nan"), float("-inf")], "b": "é"}
    answers.print_answer(True, True, data, lambda: print("shown"))
    out = capsys.readouterr().out
    assert json.loads(out) == {"a": [1.5, None, None], "b": "é"}
    assert "shown" not in out
    answers.print_answer(False, False, data, lambda: print("shown"))
    assert capsys.readouterr().out == "shown\n"
    answers.print_answer(False, True, data, lambda: print("shown"))
    assert capsys.readouterr().out == ""


def test_paths_are_texts(tmp_path: Path) -> None:
    """In their order."""
    paths = [tmp_path / "b", tmp_path / "a"]
    assert answers.paths_json(paths) == {"paths": [str(path) for path in paths]}
    assert answers.paths_json([]) == {"paths": []}
