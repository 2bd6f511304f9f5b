"""How the words of options are read."""

from __future__ import annotations

import pytest
import typer

from robustbench_mix.cli import options
from robustbench_mix.config.model import Interface


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
