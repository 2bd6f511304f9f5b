"""How the words of options are read, and how answers are printed."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import pytest
import typer

from robustbench_mix.cli import options
from robustbench_mix.config.model import Interface
from robustbench_mix.errors import RbmixError
from robustbench_mix.runtime import progress


def test_numbers_name_what_they_are_not() -> None:
    """Also where typer hands on a default that is a number already."""
    assert options.whole("7") == options.whole(7) == 7
    assert options.real("1e-3") == 0.001
    for parse, text, what in (
        (options.whole, "1.5", "a whole number"),
        (options.whole, "", "a whole number"),
        (options.real, "x", "a number"),
    ):
        with pytest.raises(typer.BadParameter, match=f"^{text!r} is not {what}$"):
            parse(text)


@pytest.mark.parametrize(
    ("text", "kind", "values"),
    [("a", str, ["a"]), ("a, b ,c", str, ["a", "b", "c"]), ("3,5", int, [3, 5]), ("", str, [""])],
)
def test_lists(text: str, kind: type, values: list) -> None:
    """Spaces around the commas do not count."""
    assert options.split_list(text, kind) == values


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("3,x", int, "'3,x' is not a list of whole numbers, as in 3,5"),
        ("", int, "'' is not a list of whole numbers, as in 3,5"),
        ("0.5,", float, "'0.5,' is not a list of numbers, as in 0.5,0.25"),
    ],
)
def test_lists_that_are_none(text: str, kind: type, message: str) -> None:
    """The text and its form are named."""
    with pytest.raises(typer.BadParameter, match=f"^{message}$"):
        options.split_list(text, kind)


def test_a_grid_keeps_its_texts() -> None:
    """None stays None: the protocol's is meant."""
    assert options.eps_grid(None) is None
    assert options.eps_grid("1/255, 0.1") == ["1/255", "0.1"]


def test_an_interface_is_what_differs() -> None:
    """None where nothing was given."""
    assert options.interface(None, None, None, None) is None
    given = options.interface(224, "0.5", "0.2,0.3,0.4", 10)
    assert given == Interface(224, (0.5,), (0.2, 0.3, 0.4), 10)


def test_a_folder_has_to_be_there(tmp_path: Path) -> None:
    """A file is none."""
    assert options.require_folder(tmp_path) == tmp_path
    (tmp_path / "file").touch()
    for name in ("file", "nowhere"):
        with pytest.raises(RbmixError, match=f"{name} does not exist"):
            options.require_folder(tmp_path / name)


def test_the_usual_folder_is_said_where_it_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    """In a checkout; a folder that was named is taken without a word."""
    monkeypatch.chdir(tmp_path)
    assert options.choose_folder(Path("x"), False) == Path("x")
    assert options.choose_folder(None, False) == Path("results")
    assert options.choose_folder(None, False, "a", "b") == Path("results/a/b")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(options, "default_results_folder", lambda: Path("elsewhere"))
    assert options.choose_folder(None, False, "a") == Path("elsewhere/a")
    assert "kept in elsewhere" in capsys.readouterr().err
    assert options.choose_folder(None, True) == Path("elsewhere")
    assert capsys.readouterr().err == ""
    assert progress.is_quiet()


def test_loading_torch_is_said_once(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """Not where it is there, and not where nothing is to be said."""
    options.load_torch(False)
    assert capsys.readouterr().err == ""
    monkeypatch.delitem(sys.modules, "torch")
    options.load_torch(True)
    assert capsys.readouterr().err == ""
    options.load_torch(False)
    assert capsys.readouterr().err == "loading PyTorch\n"
    assert logging.getLogger("robustbench_mix").isEnabledFor(logging.INFO)


def test_an_answer_is_json_or_for_people_or_nothing(capsys) -> None:
    """JSON has no NaN and no infinity, and comes even where all else is quiet."""
    data = {"a": [1.5, float("nan"), float("-inf")], "b": "é"}
    options.print_answer(True, True, data, lambda: print("shown"))
    out = capsys.readouterr().out
    assert json.loads(out) == {"a": [1.5, None, None], "b": "é"}
    assert "shown" not in out
    options.print_answer(False, False, data, lambda: print("shown"))
    assert capsys.readouterr().out == "shown\n"
    options.print_answer(False, True, data, lambda: print("shown"))
    assert capsys.readouterr().out == ""


def test_paths_are_texts(tmp_path: Path) -> None:
    """In their order."""
    paths = [tmp_path / "b", tmp_path / "a"]
    assert options.paths_json(paths) == {"paths": [str(path) for path in paths]}
    assert options.paths_json([]) == {"paths": []}
