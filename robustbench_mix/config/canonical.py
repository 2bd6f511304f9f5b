"""Turn frozen dataclasses into plain JSON values, and hash values for file names."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Any


def as_json(record: Any) -> dict[str, Any]:
    """Return a dataclass as plain JSON values, without those that are None."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(record)))
    return {name: value for name, value in plain.items() if value is not None}


def short_hash(value: Any) -> str:
    """Return 12 hexadecimal digits of the SHA-256 of a JSON value with sorted keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
