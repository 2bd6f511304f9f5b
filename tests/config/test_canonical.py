"""The hash of a record is that of its content."""

from __future__ import annotations

from robustbench_mix.config.canonical import short_hash


def test_hash_changes_with_content_only() -> None:
    """Key order does not matter, values do."""
    assert short_hash({"a": 1, "b": 2}) == short_hash({"b": 2, "a": 1})
    assert short_hash({"a": 1}) != short_hash({"a": 2})
