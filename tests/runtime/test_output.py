"""Standard output is the command's: what networks print and warn about is told beside it."""

from __future__ import annotations

import ctypes
import logging
import os
import sys
import warnings
from collections.abc import Iterator

import pytest

from robustbench_mix.runtime import output, progress


@pytest.fixture(autouse=True)
def told() -> Iterator[None]:
    """Messages are shown, and standard output is released whatever happens."""
    progress.set_quiet(False)
    yield
    output.release_stdout()
    progress.set_quiet(True)


def test_the_first_line_is_told_at_once_and_the_others_are_counted(capsys) -> None:
    """However they are written; nothing reaches standard output."""
    output.keep_stdout()
    output.keep_stdout()  # a second time changes nothing
    print("==> Building", "model..", end="")
    assert capsys.readouterr() == ("", "")
    print("\nsecond")
    assert capsys.readouterr() == ("", "printed meanwhile: ==> Building model..\n")
    sys.stdout.buffer.write(b"third\n\n")
    print("f\udcffourth", end="")
    output.release_stdout()
    print("answer")
    output.release_stdout()
    assert capsys.readouterr() == ("answer\n", "printed meanwhile: 3 more lines\n")


def test_a_line_without_an_end_is_told_in_the_end(capsys) -> None:
    """And silence is not told at all."""
    for text in ("loaded", ""):
        output.keep_stdout()
        print(text, end="")
        output.release_stdout()
    assert capsys.readouterr() == ("", "printed meanwhile: loaded\n")


def test_what_compiled_code_prints_goes_to_standard_error(capfd, monkeypatch) -> None:
    """Whether the C library holds it or not; what the command prints itself stays."""
    on_descriptor = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    monkeypatch.setattr(sys, "stdout", on_descriptor)
    output.keep_stdout()
    ctypes.CDLL(None).puts(b"held")
    os.write(1, b"raw\n")
    print("a table", file=output.answer_stream())
    output.release_stdout()
    os.write(1, b"answer\n")
    out, err = capfd.readouterr()
    assert out == "a table\nanswer\n"
    assert sorted(err.splitlines()) == ["held", "raw"]


def test_without_a_standard_error_the_descriptor_stays(capfd, monkeypatch) -> None:
    """The number of a closed one may be that of a file by now."""
    on_descriptor = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    monkeypatch.setattr(sys, "stdout", on_descriptor)
    monkeypatch.setattr(sys, "__stderr__", None)
    output.keep_stdout()
    os.write(1, b"raw\n")
    output.release_stdout()
    assert capfd.readouterr() == ("raw\n", "")


def test_a_warning_is_one_line(capsys) -> None:
    """Without the place in the code; afterwards warnings are what they were."""
    before = warnings.showwarning
    with output.warnings_as_messages():
        warnings.simplefilter("always")
        warnings.warn("one\ntwo", UserWarning, stacklevel=1)
    assert capsys.readouterr().err == "UserWarning: one two\n"
    assert warnings.showwarning is before
    assert logging.getLogger("robustbench_mix").level == logging.INFO


def test_what_the_command_prints_itself_is_never_kept_aside(capsys) -> None:
    """Tables before the answer reach standard output; what others print meanwhile does not."""
    output.keep_stdout()
    try:
        print("of a library")
        print("a table", file=output.answer_stream())
    finally:
        output.release_stdout()
    print("an answer", file=output.answer_stream())
    assert capsys.readouterr().out == "a table\nan answer\n"
