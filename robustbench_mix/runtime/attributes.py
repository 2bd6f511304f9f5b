"""The attributes of objects of any kind."""

from __future__ import annotations

from typing import Any


def attributes_of(value: object) -> dict[object, Any]:
    """Return what an object keeps under which name, in `__dict__` or in `__slots__`."""
    slots = [vars(kind).get("__slots__", ()) for kind in type(value).__mro__]
    names = [name for one in slots for name in ((one,) if isinstance(one, str) else one)]
    kept = {name: getattr(value, name) for name in names if hasattr(value, name)}
    return {**kept, **getattr(value, "__dict__", {})}
