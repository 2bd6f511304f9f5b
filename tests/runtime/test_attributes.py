"""What objects keep is found, wherever they keep it."""

from __future__ import annotations

from dataclasses import dataclass

from robustbench_mix.runtime.attributes import attributes_of


@dataclass(slots=True)
class Slotted:
    """Without a dictionary of its own."""

    first: int
    second: str = "b"


class Both(Slotted):
    """With one, beside the slots that it inherits."""

    def __init__(self) -> None:
        super().__init__(1)
        self.third = 3


class One:
    """One slot, by its name alone, and never filled."""

    __slots__ = "only"


def test_slots_and_dictionaries() -> None:
    """Both, and nothing of objects without either."""
    assert attributes_of(Slotted(1)) == {"first": 1, "second": "b"}
    assert attributes_of(Both()) == {"first": 1, "second": "b", "third": 3}
    assert attributes_of(One()) == attributes_of(3) == {}
