"""Files of others: their type and size are checked, and every parser's error is one line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from robustbench_mix.errors import RbmixError
from robustbench_mix.storage import reading


def test_a_file_up_to_the_size_is_read(tmp_path: Path) -> None:
    """One byte more is refused, with both sizes."""
    path = tmp_path / "a.bin"
    path.write_bytes(bytes(1000))
    assert reading.check_file(path, "table", 1000).st_size == 1000
    assert reading.read_bytes(path, "table", 1000) == bytes(1000)
    for read in (reading.check_file, reading.read_bytes):
        with pytest.raises(RbmixError, match=r"table .*a.bin has 1,000 bytes .*at most 999\)"):
            read(path, "table", 999)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none", "No such file or directory"),
        ("folder", "it is not a regular file"),
        ("pipe", "it is not a regular file"),
        ("a\0b", "embedded null"),
    ],
)
def test_what_is_no_file(tmp_path: Path, name: str, message: str) -> None:
    """A pipe would be waited for."""
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(RbmixError, match=f"cannot read table .*{message}"):
        reading.read_bytes(tmp_path / name, "table", 10)


def test_a_file_that_hides_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of the system, which report 0 bytes."""
    path = tmp_path / "a.bin"
    path.write_bytes(bytes(1000))
    monkeypatch.setattr(reading, "check_file", lambda *_: None)
    with pytest.raises(RbmixError, match=r"too large \(allowed: at most 999 bytes\)"):
        reading.read_bytes(path, "table", 999)


@pytest.mark.parametrize("error", [ValueError("bad\nand more"), RecursionError(), MemoryError()])
def test_any_error_becomes_one_line(error: Exception) -> None:
    """Of its first line, or of its type where it says nothing."""
    said = "bad" if str(error) else type(error).__name__
    with (
        pytest.raises(RbmixError, match=rf"^table is damaged \({said}\); delete it$") as found,
        reading.refuse_on_error("table is damaged", "; delete it"),
    ):
        raise error
    assert found.value.__cause__ is error


def test_an_error_that_says_all_stays() -> None:
    """And an interruption is no error."""
    for error in (RbmixError("two tables"), KeyboardInterrupt()):
        with pytest.raises(type(error)) as found, reading.refuse_on_error("table is damaged"):
            raise error
        assert found.value is error


def test_toml(tmp_path: Path) -> None:
    """Its table, or one line; dotted keys of any length are not parsed."""
    path = tmp_path / "a.toml"
    path.write_text('[a]\nb = "ü"\n', encoding="utf-8")
    assert reading.read_toml(path, "protocol") == {"a": {"b": "ü"}}
    for raw in (b"a = ", b'a = "\xff"', b"a = 1\na = 2"):
        path.write_bytes(raw)
        with pytest.raises(RbmixError, match="protocol .*a.toml is not valid TOML"):
            reading.read_toml(path, "protocol")
    path.write_text("a." * 2**13 + "b = 1")
    with pytest.raises(RbmixError, match="allowed: at most 16,384"):
        reading.read_toml(path, "protocol")


def test_json() -> None:
    """Any value, in UTF-8."""
    assert reading.parse_json('{"a": [1, null, "ü"]}'.encode(), "no") == {"a": [1, None, "ü"]}
    assert reading.parse_json(b"3", "no") == 3


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"{", "Expecting"),
        (b'"\xff"', "can't decode"),
        (b'{"a": 1, "a": 1}', "a name occurs twice in an object"),
        (b'[{"b": {"a": 1, "a": 2}}]', "a name occurs twice in an object"),
        (rb'"\ud800"', "surrogates not allowed"),
        (b"[" * 100_000, "recursion|RecursionError"),
    ],
)
def test_hostile_json(raw: bytes, message: str) -> None:
    """One line with what is wrong, and what to do."""
    with pytest.raises(RbmixError, match=rf"^state is damaged \(.*({message}).*\); delete it$"):
        reading.parse_json(raw, "state is damaged", "; delete it")
