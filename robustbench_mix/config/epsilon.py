"""Epsilons as exact text, and grids of them.

Numbers of one meaning are one: `8/255`, its digits `0.03137254902` and the float `8 / 255` are the
same epsilon. Digits that only round a fraction are read, and written, as that fraction.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import SupportsFloat

from robustbench_mix.config.limits import MAX_EPS
from robustbench_mix.errors import RbmixError

ALLOWED = "(allowed: 8/255, 0.5/255, 0.03)"
DECIMALS = 12  # of a number as text
NUMBER = r"(?:(?:0|[1-9][0-9]{0,19})(?:\.[0-9]{1,20})?|\.[0-9]{1,20})"
# Numbers that Python reads and that are written otherwise here: `255.`, `1e-2`.
OF_PYTHON = r"(?:[0-9]{1,20}\.?[0-9]{0,20}|\.[0-9]{1,20})(?:[eE][-+]?[0-9]{1,2})?"
ZERO = r"(?:0+(?:\.0*)?|\.0+)(?:/0*[1-9][0-9]*)?"
COMPUTED = 6  # significant digits from which a number was computed, not chosen
GREY_LEVELS = 255
QUARTERS = 4 * GREY_LEVELS  # the customary unit is a grey level; people choose quarters of one
LARGEST_DENOMINATOR = 1000  # of other fractions
SURE = Fraction(1, 10**10)  # rounding up to which such a fraction is no coincidence
FLOAT32 = Fraction(1, 2**23)  # relative rounding of a number that was once in single precision

Radius = str | SupportsFloat


@dataclass(frozen=True)
class Eps:
    """The radius of a ball, kept as exact text, for example `8/255`."""

    text: str

    @property
    def value(self) -> float:
        """The radius in pixel units, where an image spans [0, 1]."""
        return float(self.exact)

    @property
    def exact(self) -> Fraction:
        """The radius without rounding."""
        return _fraction(_spelled(self.text))


def texts_of(given: Radius | Iterable[Radius]) -> list[str]:
    """Return epsilons as people write them: one or several, texts or numbers.

    The digits of a fraction become the fraction, and `8.0/255` or `16/510` becomes `8/255`. A zero
    beside others is left out, because the clean accuracy is always reported. All words of users
    come through here; the texts of records do not, because they stay as they are.

    Args:
        given: A text, with commas between several, a number, or an iterable of these.

    Raises:
        RbmixError: One is neither a text nor a number.
    """
    texts = list(_texts_of_all(given))
    return [text for text in texts if not re.fullmatch(ZERO, text)] or texts


def _texts_of_all(given: Radius | Iterable[Radius]) -> Iterator[str]:
    if isinstance(given, str):
        yield from (_spelled(_plain(part)) for part in given.split(","))
    elif (
        isinstance(given, Iterable)
        and not isinstance(given, bytes | Mapping)
        and getattr(given, "ndim", None) != 0
    ):
        for one in given:
            yield from _texts_of_all(one)
    else:
        yield _text_of_number(given)


def _plain(text: str) -> str:
    """Return a text without spaces around the stroke, and its numbers without exponents."""
    parts = [part.strip() for part in text.split("/")]
    return "/".join(_plain_number(part) for part in parts)


def _plain_number(text: str) -> str:
    """Return a number of Python's as digits; a text that is none, or needs no change, as it is."""
    if re.fullmatch(NUMBER, text) or not re.fullmatch(OF_PYTHON, text):
        return text
    if not (text.endswith(".") or "e" in text.lower()):
        return text
    digits = f"{Decimal(text):f}"
    return digits if re.fullmatch(NUMBER, digits) else text


def parse_eps(text: str, norm: str) -> Eps:
    """Read one epsilon: `8/255`, `0.5/255` or `0.03`.

    Raises:
        RbmixError: It is not a positive number, or it is above 1 for l-infinity.
    """
    if not re.fullmatch(rf"{NUMBER}(?:/{NUMBER})?", text):
        raise RbmixError(f"epsilon {text!r} is not a positive number {ALLOWED}")
    try:
        value = _fraction(text)
    except ZeroDivisionError:
        raise RbmixError(f"epsilon {text!r} divides by zero (allowed: 8/255, 0.03)") from None
    if value <= 0:
        raise RbmixError(
            f"epsilon {text!r} must be above 0 (the clean accuracy is always reported)"
        )
    if norm == "linf" and value > 1:
        hint = f"; did you mean {text}/255?" if "/" not in text and value <= GREY_LEVELS else ""
        raise RbmixError(f"epsilon {text!r} is above 1, the whole pixel range [0, 1]{hint}")
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


def spelled_as(grid: tuple[Eps, ...], known: tuple[Eps, ...]) -> tuple[Eps, ...]:
    """Return a grid in which each epsilon of `known` has the text that it has there.

    `0.125` and `2/16` are the same epsilon, and people write both. A protocol's own grid decides.
    """
    texts = {eps.exact: eps for eps in known}
    return tuple(texts.get(eps.exact, eps) for eps in grid)


def _text_of_number(number: object) -> str:
    """Return a number as people write it: 0.03, 8/255; it may have been in single precision."""
    if not isinstance(number, SupportsFloat) or isinstance(number, bool):
        raise RbmixError(f"epsilon {number!r} is not a positive number {ALLOWED}")
    value = float(number)
    short = f"{value:.{COMPUTED - 1}g}"
    if not abs(value) < float("inf"):
        return short
    exact = Fraction(value)
    rounding = abs(exact) * FLOAT32
    if abs(Fraction(short) - exact) <= rounding:
        return f"{Decimal(short):f}"
    digits = f"{value:.{DECIMALS}f}".rstrip("0").rstrip(".")
    return _grey_levels(exact, rounding) or _spelled(digits)


def _spelled(text: str) -> str:
    """Return a number or fraction as people write it: `8.0/255` and `16/510` are `8/255`."""
    if not re.fullmatch(rf"{NUMBER}(?:/{NUMBER})?", text):
        return text
    if "/" not in text:
        return _unrounded(text) or _trimmed(text)
    above, below = map(_trimmed, text.split("/"))
    if Fraction(below) and not Fraction(below) % GREY_LEVELS:
        return _grey_levels(_fraction(text), Fraction(0)) or f"{above}/{below}"
    return f"{above}/{below}"


def _trimmed(number: str) -> str:
    """Return digits without zeros that say nothing: `8.0` is `8`, and `.50` is `0.5`."""
    trimmed = number.rstrip("0").rstrip(".") if "." in number else number
    return f"0{trimmed}" if trimmed.startswith(".") or not trimmed else trimmed


def _unrounded(text: str) -> str:
    """Return the fraction that the digits of a decimal text round; '' for digits of their own."""
    digits, decimals = text.replace(".", "").strip("0"), text.partition(".")[2]
    if len(digits) < COMPUTED:
        return ""
    exact, rounding = _fraction(text), Fraction(1, 2 * 10 ** len(decimals))
    if grey := _grey_levels(exact, rounding):
        return grey
    simple = exact.limit_denominator(LARGEST_DENOMINATOR)
    if rounding > SURE or abs(simple - exact) > rounding:
        return ""
    return f"{simple.numerator}/{simple.denominator}"


def _grey_levels(exact: Fraction, rounding: Fraction) -> str:
    """Return a number as grey levels, as in `0.5/255`, if it is one up to rounding; else ''."""
    quarters = round(exact * QUARTERS)
    if quarters < 1 or abs(Fraction(quarters, QUARTERS) - exact) > rounding:
        return ""
    return f"{quarters / 4:g}/255"


def _fraction(text: str) -> Fraction:
    numerator, _, denominator = text.partition("/")
    return Fraction(numerator) / Fraction(denominator or "1")
