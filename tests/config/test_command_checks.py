"""Words of commands that are refused before anything is imported."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from robustbench_mix.config import command_checks
from robustbench_mix.errors import RbmixError

BENCH: dict[str, Any] = {
    "dataset": "digits", "examples": 1, "parts": None, "precision": "auto", "device": "auto",
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "workers", "address"),
    [("local", None, None), ("local", 1, None), ("ray", 3, None), ("ray", None, "head:6379")],
)
def test_runners_and_their_options(name: str, workers: int | None, address: str | None) -> None:
    """These go together."""
    command_checks.check_runner(name, workers, address)


@pytest.mark.parametrize(
    ("name", "workers", "address", "message"),
    [
        ("locl", None, None, "unknown runner 'locl'; did you mean 'local'? (allowed: local, ray)"),
        ("local", 0, None, "number of workers 0 must be at least 1"),
        ("ray", -2, "head:1", "number of workers -2 must be at least 1"),
        ("local", 2, "head:1", "--address head:1 goes with --runner ray"),
    ],
)
def test_wrong_runners_are_named(
    name: str, workers: int | None, address: str | None, message: str
) -> None:
    """The value, and what is allowed."""
    with pytest.raises(RbmixError, match=f"^{re.escape(message)}$"):
        command_checks.check_runner(name, workers, address)


def test_benchmarks_take_a_folder_and_every_part(tmp_path: Path) -> None:
    """And each precision and device that there is anywhere."""
    parts = list(command_checks.BENCHMARKS)
    command_checks.benchmark(**{**BENCH, "dataset": str(tmp_path), "parts": parts})
    command_checks.benchmark(**{**BENCH, "precision": "bf16", "device": "cuda:1"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"examples": 0}, "number of examples 0 must be at least 1"),
        ({"parts": ["steps", "stesp"]}, "part 'stesp' is not one of two-step, autoattack"),
        ({"parts": [""]}, "part '' is not one of"),
        ({"precision": "fp8"}, "unknown precision 'fp8'"),
        ({"device": "tpu"}, "unknown device 'tpu'"),
        ({"device": "cuda:x"}, "unknown device 'cuda:x'"),
        ({"dataset": "digts"}, "did you mean 'digits'"),
    ],
)
def test_wrong_words_of_a_benchmark_are_named(change: dict[str, Any], message: str) -> None:
    """The value, and what is allowed."""
    with pytest.raises(RbmixError, match=re.escape(message)):
        command_checks.benchmark(**{**BENCH, **change})
