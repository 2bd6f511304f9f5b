"""Messages: on one line, not too long, with the nearest of the allowed names."""

from __future__ import annotations

import pytest

from robustbench_mix.errors import (
    MAX_CHARACTERS,
    MAX_LISTED,
    RbmixError,
    first_line,
    is_out_of_memory,
    one_line,
    unknown,
)


def test_an_error_is_one_line_with_its_details() -> None:
    """Line ends and control characters of a name are not those of the message."""
    error = RbmixError("a\n b", ["c\td", "\x1b[31m"])
    assert str(error) == "a b"
    assert error.details == ("c d", "\\x1b[31m")
    assert RbmixError("x").details == ()


@pytest.mark.parametrize(
    ("text", "line"),
    [("", ""), ("  a  b ", "a b"), ("a\r\nb", "a b"), ("\x07", "\\x07"), ("\udcff é", "\\udcff é")],
)
def test_a_text_on_one_line(text: str, line: str) -> None:
    """What cannot be printed is escaped; letters of any language stay."""
    assert one_line(text) == line


def test_long_texts_lose_their_middle() -> None:
    """The beginning and the end stay, and what just fits stays whole."""
    assert one_line("x" * MAX_CHARACTERS) == "x" * MAX_CHARACTERS
    line = one_line("a" * MAX_CHARACTERS + "z" * MAX_CHARACTERS)
    assert line.startswith("aaa")
    assert line.endswith("zzz")
    assert line.count(" ... ") == 1
    assert len(line) < MAX_CHARACTERS


def test_the_first_line_of_an_error_or_its_type() -> None:
    """Libraries write paragraphs, and some nothing."""
    assert first_line(ValueError("\n  one\ntwo")) == "one"
    assert first_line(KeyError()) == "KeyError"
    assert first_line(ValueError("x" * 500)) == "x" * 156 + " ..."


def test_a_long_first_line_is_cut_between_words() -> None:
    """And says so; what just fits stays whole."""
    assert first_line(ValueError("one two three"), 12) == "one two ..."
    assert first_line(ValueError("one two three"), 13) == "one two three"


def test_unknown_names_are_shown_with_what_is_allowed() -> None:
    """The nearest one is suggested, if any is near."""
    error = unknown("model", "resnet1", ["resnet14", "convmixer4"], also="or a path")
    assert str(error) == (
        "unknown model 'resnet1'; did you mean 'resnet14'? "
        "(allowed: resnet14, convmixer4, or a path)"
    )
    assert str(unknown("norm", "?", ["linf", "l2"])) == "unknown norm '?' (allowed: linf, l2)"


def test_of_many_names_only_the_near_ones_are_listed() -> None:
    """With their number; where none is near, the first."""
    names = [f"net{at:03}" for at in range(MAX_LISTED + 1)]
    near = str(unknown("network", "net007x", names))
    assert "did you mean 'net007'" in near
    assert "net012" not in near
    assert near.endswith("... 31 in all)")
    far = str(unknown("network", "?", names))
    assert far == "unknown network '?' (allowed: net000, net001, net002, net003, ... 31 in all)"
    assert str(unknown("network", "?", names[:-1])).count("net0") == MAX_LISTED


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (MemoryError(), True),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("could not create a primitive"), True),
        (OSError("Cannot allocate memory"), True),
        (RuntimeError("shapes cannot be multiplied"), False),
        (OSError("No such file"), False),
    ],
)
def test_errors_that_mean_that_memory_ran_out(error: BaseException, is_memory: bool) -> None:
    """On the host or on a GPU, whoever says so."""
    assert is_out_of_memory(error) is is_memory
