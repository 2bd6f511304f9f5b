"""Typed values from files: what is allowed, and how a refusal reads."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest

from robustbench_mix.errors import RbmixError
from robustbench_mix.storage.validation import (
    LARGEST,
    MAX_NAME,
    Count,
    Header,
    Name,
    NonNegative,
    Positive,
    Share,
    Text,
    decode,
    encode,
    extend,
    is_name,
    is_number,
)


class Inner(Header, frozen=True, kw_only=True):
    """A part of a header."""

    share: Share


class Outer(Header, frozen=True, kw_only=True):
    """A header with a field of every kind."""

    name: Name
    n: Positive
    maybe: Count | None
    note: Text = ""
    seconds: NonNegative | None = None
    parts: list[Inner] | None = None
    versions: dict[Name, Text] | None = None


class Larger(Outer, frozen=True, kw_only=True):
    """What has everything that the other has, and more."""

    more: Count


VALID = {"name": "a", "n": 1, "maybe": None}


def test_what_is_written_is_read() -> None:
    """With sorted names; required fields are always there, others where they say something."""
    header = decode({"n": 2, "name": "ü", "maybe": 3, "parts": [{"share": 1}]}, Outer, "x")
    assert encode(header) == ('{"maybe": 3, "n": 2, "name": "\\u00fc", "parts": [{"share": 1.0}]}')
    assert encode(decode(VALID, Outer, "x")) == '{"maybe": null, "n": 1, "name": "a"}'


def test_a_missing_field_is_null() -> None:
    """Where the type allows null, nobody knows; elsewhere it is named."""
    assert decode({"name": "a", "n": 1}, Outer, "x").maybe is None
    with pytest.raises(RbmixError, match="n = None: expected int, got null"):
        decode({"name": "a"}, Outer, "x")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": True}, "n = True: expected int, got bool"),
        ({"n": 1.0}, "n = 1.0: expected int, got float"),
        ({"n": "1"}, "n = '1': expected int, got str"),
        ({"n": LARGEST + 1}, "expected int <= 9007199254740992"),
        ({"n": 10**400}, "expected int"),
        ({"maybe": -1}, "maybe = -1: expected int >= 0"),
        ({"name": ""}, "name = '': expected str of length >= 1"),
        ({"note": "x" * (MAX_NAME + 1)}, "expected str of length <= 255"),
        ({"note": "a\nb"}, "note = 'a\\nb' cannot be printed"),
        ({"seconds": math.nan}, "seconds = nan: expected float >= 0.0"),
        ({"seconds": 10**400}, "header: "),
        ({"parts": [{"share": 0.5}, {"share": 1.5}]}, "parts[1].share = 1.5: expected float <= 1"),
        ({"parts": [{}]}, "parts[0] = {}: object missing required field share"),
        ({"versions": {"a": 3}}, "versions[...] = {'a': 3}: expected str, got int"),
        ({"versions": {"a\x1b": "b"}}, "cannot be printed"),
        ({"versions": ["a"]}, "versions = ['a']: expected object | null, got array"),
    ],
)
def test_a_refusal_names_field_value_and_what_is_allowed(change: dict, message: str) -> None:
    """On one line that begins as it is told to, and ends so."""
    with pytest.raises(RbmixError) as error:
        decode({**VALID, **change}, Outer, "file a is damaged", hint="; delete it")
    said = str(error.value)
    assert said.startswith("file a is damaged (header: ")
    assert said.endswith("); delete it")
    assert message in said
    assert said.isprintable()


@pytest.mark.parametrize("value", [None, [], 3, "a", [{}]])
def test_only_objects_are_headers(value: object) -> None:
    """Anything else is none."""
    with pytest.raises(RbmixError, match=r"x \(no header\)"):
        decode(value, Outer, "x")


def test_unknown_fields_are_left_out() -> None:
    """A later version may write more, whatever it is."""
    assert decode({**VALID, "later": ["\x1b"]}, Outer, "x") == decode(VALID, Outer, "x")


def test_texts_may_have_line_ends_where_it_is_said() -> None:
    """What is not printed as it is."""
    assert decode({**VALID, "note": "a\nb"}, Outer, "x", printable=False).note == "a\nb"


def test_dataclasses_are_read_too() -> None:
    """With their types."""

    @dataclass
    class Plain:
        values: list[float]

    assert decode({"values": [1, 0.5]}, Plain, "x") == Plain([1.0, 0.5])
    with pytest.raises(RbmixError, match=r"values\[1\] = 'a': expected float, got str"):
        decode({"values": [1, "a"]}, Plain, "x")


def test_a_header_can_be_extended() -> None:
    """To a type that has its fields, with more of them."""
    larger = extend(decode(VALID, Outer, "x"), Larger, more=5)
    assert (larger.name, larger.more) == ("a", 5)


def test_names_and_numbers() -> None:
    """Names can be printed and are short; NaN lies within no bounds."""
    assert is_name("a b")
    assert not any(map(is_name, ("", "a\n", "x" * 256, None, 3)))
    assert is_number(1, 0, 1)
    assert not any(is_number(value, 0, 1) for value in (math.nan, True, "1", 2, -math.inf))
