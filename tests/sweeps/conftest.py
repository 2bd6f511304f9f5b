"""A working folder with a tiny sweep."""

from __future__ import annotations

from pathlib import Path

import pytest

TINY = """
summary = "as small as it gets"

[[grid]]
models = ["resnet14_w4"]
spatial = ["learned", "frozen"]
seeds = [0]
attacks = ["fgsm", "smoke"]
examples = 10
epochs = 1
train_examples = 60
"""
UNSHUFFLE = """
[[unshuffle]]
width = [4]
depth = [1]
kernel = [3]
epochs = 1
train_examples = 60
"""


@pytest.fixture
def unshuffle() -> str:
    """The part of a sweep that un-shuffles, as small as it gets."""
    return UNSHUFFLE


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cached: Path, unexamined: None) -> Path:
    """A working directory with a tiny sweep, and the cache that tests share."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.toml").write_text(TINY + UNSHUFFLE)
    return tmp_path
