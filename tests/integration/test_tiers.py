"""What a quick test may not do is noticed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.default

TESTS = """
import subprocess
import sys
import pytest
import torch

def steps(count):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    for _ in range(count):
        optimizer.step()

def test_nothing():
    steps(20)

def test_trains():
    steps(21)

def test_starts():
    subprocess.run([sys.executable, "--version"])

@pytest.mark.default
def test_starts_and_says_so():
    subprocess.run([sys.executable, "--version"])
"""


def test_quick_tests_start_nothing_and_hardly_train(checkout: Path, tmp_path: Path) -> None:
    """Those that do fail, with what to write; marked so, they are left out of the quick ones."""
    file = tmp_path / "test_tier.py"
    file.write_text(TESTS)
    folders = [checkout / "tests" / name for name in ("", "benchmarks", "weights")]
    path = os.pathsep.join([*map(str, folders), os.environ.get("PYTHONPATH", "")])
    words = ["-p", "conftest", "-p", "no:cacheprovider", "-c", checkout / "pyproject.toml"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words, "-m", "quick", file],
        env={**os.environ, "PYTHONPATH": path}, cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert "2 failed, 1 passed, 1 deselected" in done.stdout.splitlines()[-1], done.stdout
    for said in ("1 processes and 0 steps", "0 processes and 21 steps"):
        assert f"{said} of training in a quick test: mark it with pytest" in done.stdout
