"""Choices made by bytes, and mutations made by choices: what any fuzzer can drive."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


def deep(levels: int) -> Any:
    """A list within a list, and so on."""
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


# Values that readers tend to forget, as JSON and TOML can hold most of them.
TEXTS = (
    "", " ", "x" * 3000, "\x1b[31mred", "[red]", "[/]", "../../up", "/etc/passwd", "..", "a\nb",
    "a|b", "`code`", "$\\frac{", "<script>alert(1)</script>", "</style>", '"quoted"', "\ud800",
    "\x00", "\u0663", "nan", "1/0", "8/255", "0.1", "é", "字", "\u202e", "frozen", "smoothed:3",
    "external", "l2", "~nobody/x", "_x", "=1+1", "os:system", "-", "--help", "javascript:x",
)  # fmt: skip
NUMBERS = (
    0, 1, -1, 2, 3, 7, 255, 2**31, 2**53, 2**63, 10**18, 10**30, -(2**63), 0.5, 1.0, -0.0, 1e-320,
    1e308, float("nan"), float("inf"), float("-inf"),
)  # fmt: skip
OTHERS: tuple[Any, ...] = (None, True, False, [], {}, [[]], {"a": 1}, [1, "a"], [None], deep(30))


class Choices:
    """A source of choices; zeros once the bytes have run out."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def below(self, limit: int) -> int:
        """A whole number from 0 to limit - 1."""
        value = 0
        for _ in range(1 if limit <= 256 else 2 if limit <= 65536 else 4):
            value = value << 8 | (self.data[self.at] if self.at < len(self.data) else 0)
            self.at += 1
        return value % limit

    def one_in(self, n: int) -> bool:
        """True about once in n, never without bytes."""
        return self.below(n) == n - 1

    def of(self, values: Sequence[T]) -> T:
        """One of these."""
        return values[self.below(len(values))]

    def bytes(self, most: int) -> bytes:
        """Up to so many of the bytes as they are."""
        size = self.below(most + 1)
        taken = self.data[self.at : self.at + size]
        self.at += size
        return taken

    def text(self) -> str:
        """One of the odd texts, or bytes as text."""
        return self.of(TEXTS) if self.below(4) else self.bytes(40).decode("latin-1")

    def value(self) -> Any:
        """Any odd value."""
        kind = self.below(4)
        if kind == 0:
            return self.text()
        return copy.deepcopy(self.of((NUMBERS, OTHERS, NUMBERS)[kind - 1]))


def mutated(value: Any, choices: Choices, most: int = 3) -> Any:
    """A copy of plain values with up to so many changes, anywhere within."""
    holder = {"": copy.deepcopy(value)}
    for _ in range(choices.below(most + 1)):
        _change(holder, choices)
    return holder.get("")


def _change(holder: Any, choices: Choices) -> None:
    inside: Any = holder
    while True:
        keys = list(inside) if isinstance(inside, dict) else range(len(inside))
        key = choices.of(list(keys))
        below = inside[key]
        if not isinstance(below, dict | list) or not below or choices.one_in(3):
            break
        inside = below
    _ACTIONS[choices.below(len(_ACTIONS))](inside, key, choices)


def _replace(inside: Any, key: Any, choices: Choices) -> None:
    inside[key] = choices.value()


def _remove(inside: Any, key: Any, choices: Choices) -> None:
    if inside.keys() != {""} if isinstance(inside, dict) else len(inside) > 1:
        del inside[key]


def _add(inside: Any, key: Any, choices: Choices) -> None:
    if isinstance(inside, dict):
        inside[choices.text()] = choices.value()
    else:
        inside.insert(choices.below(len(inside) + 1), choices.value())


def _repeat(inside: Any, key: Any, choices: Choices) -> None:
    if isinstance(inside, list):
        inside.extend(inside[:100] * choices.below(4))
    elif isinstance(inside[key], list):
        inside[key] = inside[key] * choices.below(30)


def _rename(inside: Any, key: Any, choices: Choices) -> None:
    if isinstance(inside, dict) and key != "":
        inside[choices.text()] = inside.pop(key)


_ACTIONS: tuple[Callable[[Any, Any, Choices], None], ...] = (
    _replace, _replace, _replace, _remove, _add, _repeat, _rename
)  # fmt: skip


def mangled(raw: bytes, choices: Choices, most: int = 4) -> bytes:
    """The bytes with a few cut, flipped, inserted or repeated."""
    for _ in range(choices.below(most + 1)):
        at = choices.below(len(raw) + 1)
        kind = choices.below(5)
        if kind == 0:
            raw = raw[:at]
        elif kind == 1:
            raw = raw[:at] + choices.bytes(16) + raw[at:]
        elif kind == 2:
            raw = raw[:at] + choices.bytes(8) + raw[at + 8 :]
        elif kind == 3:
            raw = raw[:at] + bytes([choices.below(256)]) + raw[at + 1 :]
        else:
            raw = raw[:at] + raw[at : at + 64] * choices.below(20) + raw[at + 64 :]
    return raw
