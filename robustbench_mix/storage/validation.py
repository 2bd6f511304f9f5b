"""Read typed values from untrusted files, checked field by field.

A header comes from a file that is not trusted. Its names are printed, drawn and made into file
names, and its numbers enter calculations. Absent fields and wrong values are refused here, so that
the users of a header need no further checks. The types define what is allowed (msgspec's `Meta`).
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct

from robustbench_mix.errors import RbmixError, first_line

LARGEST = 2**53  # a float64 counts exactly up to here
MAX_NAME = 255
SHOWN = 100  # characters of a wrong value that messages show

Count = Annotated[int, Meta(ge=0, le=LARGEST)]
Positive = Annotated[int, Meta(ge=1, le=LARGEST)]
Share = Annotated[float, Meta(ge=0, le=1)]  # NaN is not within any bounds
NonNegative = Annotated[float, Meta(ge=0)]
Text = Annotated[str, Meta(max_length=MAX_NAME)]
Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]

T = TypeVar("T")
S = TypeVar("S", bound=Struct)


class Header(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base class of headers that are stored as JSON objects.

    A field without a default is always written, also if it is null. A field that has its default
    value is left out.
    """


def is_name(value: Any) -> bool:
    """Return whether a value is a text of 1 to `MAX_NAME` printable characters."""
    return isinstance(value, str) and 0 < len(value) <= MAX_NAME and value.isprintable()


def is_number(value: Any, low: float, high: float) -> bool:
    """Return whether a value is a number from `low` to `high`; NaN is not."""
    return type(value) in (int, float) and low <= value <= high


def encode(header: Struct) -> str:
    """Return the header as JSON text with sorted names."""
    return json.dumps(msgspec.to_builtins(header), sort_keys=True)


def decode(value: Any, kind: type[T], refusal: str, *, hint: str = "", printable: bool = True) -> T:
    """Convert a JSON value to a type.

    An absent field is read as null, which the type may allow or not. Unknown fields are left out.

    Args:
        value: A value from a JSON or TOML parser.
        kind: A `Struct` or a dataclass.
        refusal: The beginning of the error's message; it names the file.
        hint: The end of the message.
        printable: Whether to refuse texts that a terminal or a table would obey.

    Raises:
        RbmixError: The value is not of that type. The message names the field, its value and
            what is allowed.
    """
    if not isinstance(value, dict):
        raise RbmixError(f"{refusal} (no header){hint}")
    absent = dict.fromkeys(_required(kind))
    try:
        found = msgspec.convert({**absent, **value}, kind)
        if printable:
            _check_texts(msgspec.to_builtins(found))
        return found
    except msgspec.ValidationError as error:
        raise RbmixError(f"{refusal} (header: {_reason(value, str(error))}){hint}") from error
    except Exception as error:  # of a check of the type's own, or too deep a nesting
        words = str(error) if isinstance(error, RbmixError) else first_line(error)
        raise RbmixError(f"{refusal} (header: {words}){hint}") from error


def extend(header: Struct, kind: type[S], **fields: Any) -> S:
    """Return a header of type `kind` with all fields of `header` and further ones.

    Args:
        header: The header.
        kind: A type with all its fields.
        fields: The values of the further fields.
    """
    return kind(**msgspec.structs.asdict(header), **fields)


def _required(kind: type) -> list[str]:
    if not issubclass(kind, Struct):
        return []
    return [field.encode_name for field in msgspec.structs.fields(kind) if field.required]


def _check_texts(value: Any) -> None:
    """Raise RbmixError for a text at any depth that a terminal or a table would obey."""
    left = [("", value)]
    while left:
        place, one = left.pop()
        if isinstance(one, dict):
            left += [("a name", name) for name in one]
            left += [(place or str(name)[:SHOWN], inner) for name, inner in one.items()]
        elif isinstance(one, list):
            left += [(place, inner) for inner in one]
        elif isinstance(one, str) and not one.isprintable():
            raise RbmixError(f"{place} = {one[:SHOWN]!r} cannot be printed")


def _reason(value: Any, message: str) -> str:
    """Return a message of msgspec with the field and its value: `n = 0: expected int >= 1`."""
    message, _, path = message.partition(" - at `")
    words = message[:1].lower() + message[1:].replace("`", "")
    steps = re.findall(r"[^.\[\]`$]+", path)
    for step in steps:
        try:
            value = value[int(step)] if isinstance(value, list) else value.get(step)
        except (AttributeError, IndexError, ValueError):
            break  # msgspec does not name the field of an object with arbitrary names
    name = path.strip("`").removeprefix("$").lstrip(".")
    return f"{name} = {repr(value)[:SHOWN]}: {words}" if name else words
