"""Epsilons as exact text, and grids of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from robustbench_mix.config.limits import MAX_EPS
from robustbench_mix.errors import RbmixError


@dataclass(frozen=True)
class Eps:
    """The radius of a ball, kept as the exact text that the user wrote, for example `8/255`."""

    text: str

    @property
    def value(self) -> float:
        """The radius in pixel units, where an image spans [0, 1]."""
        return float(self.exact)

    @property
    def exact(self) -> Fraction:
        """The radius without rounding."""
        return _fraction(self.text)


def parse_eps(text: str, norm: str) -> Eps:
    """Read one epsilon: `8/255`, `0.5/255` or `0.03`.

    Raises:
        RbmixError: It is not a positive number, or it is above 1 for l-infinity.
    """
    shape = r"(?:[0-9]{1,12}(?:\.[0-9]{1,12})?|\.[0-9]{1,12})"
    if not re.fullmatch(rf"{shape}(?:/{shape})?", text):
        raise RbmixError(
            f"epsilon {text!r} is not a positive number (allowed: 8/255, 0.5/255, 0.03)"
        )
    try:
        value = _fraction(text)
    except ZeroDivisionError:
        raise RbmixError(f"epsilon {text!r} divides by zero (allowed: 8/255, 0.03)") from None
    if value <= 0:
        raise RbmixError(
            f"epsilon {text!r} must be above 0 (the clean accuracy is always reported)"
        )
    if norm == "linf" and value > 1:
        raise RbmixError(
            f"epsilon {text!r} is above 1, the whole pixel range [0, 1]; did you mean {text}/255?"
        )
    return Eps(text)


def parse_grid(texts: list[str], norm: str) -> tuple[Eps, ...]:
    """Read a grid of epsilons and sort it; raise RbmixError if it is empty or has duplicates."""
    if not texts:
        raise RbmixError("the epsilon grid is empty (allowed: one or more, as in 1/255,2/255)")
    if len(texts) > MAX_EPS:
        raise RbmixError(f"the epsilon grid has {len(texts):,} values (allowed: up to {MAX_EPS:,})")
    grid = sorted((parse_eps(text, norm) for text in texts), key=lambda eps: eps.value)
    for smaller, larger in pairwise(grid):
        if smaller.value == larger.value:
            raise RbmixError(f"epsilon {larger.text!r} is twice in the grid (as {smaller.text!r})")
    return tuple(grid)


def _fraction(text: str) -> Fraction:
    numerator, _, denominator = text.partition("/")
    return Fraction(numerator) / Fraction(denominator or "1")
