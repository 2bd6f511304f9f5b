"""The one exception a user can fix, and how a wrong name is answered."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class RbmixError(Exception):
    """Wrong input or surroundings: one line that names the value and what is allowed."""


def unknown(kind: str, name: str, allowed: Iterable[str], also: str = "") -> RbmixError:
    """An error for a name that is not registered, with the nearest one that is."""
    names = list(allowed)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    listed = ", ".join(names) + (f", {also}" if also else "")
    return RbmixError(f"unknown {kind} {name!r}{hint} (allowed: {listed})")
