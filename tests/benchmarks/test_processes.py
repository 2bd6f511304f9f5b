"""Benchmarks of whole processes: what is started, and what it comes to."""

from __future__ import annotations

import subprocess
import sys
from subprocess import CompletedProcess

import pytest

from robustbench_mix.benchmarks import processes
from robustbench_mix.errors import RbmixError


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch):
    """A function that sets how processes end; it returns the list of those started since."""

    def ends(*outcomes: CompletedProcess) -> list[tuple[list[str], dict[str, str]]]:
        calls: list[tuple[list[str], dict[str, str]]] = []
        left = iter(outcomes)

        def run(command: list[str], *, env: dict[str, str], **_: object) -> CompletedProcess:
            calls.append((command, env))
            return next(left)

        monkeypatch.setattr(subprocess, "run", run)
        return calls

    return ends


def ended(out: str = "", err: str = "", code: int = 0) -> CompletedProcess:
    """How a process ended."""
    return CompletedProcess([], code, out, err)


def test_memory_is_a_ratio_of_peaks(started) -> None:
    """Of the last line that each process prints, in KiB."""
    calls = started(ended("noise\n204800\n"), ended("307200\n"))
    row = processes.memory_row(256, 4096)
    assert row.values == [1.5]
    assert (row.work, row.against) == ("peak memory, 4,096 images", "256 images")
    assert row.note.startswith("300 against 200 MiB")
    assert [command[-1] for command, _ in calls] == ["256", "4096"]
    compile(processes.MEMORY, "memory", "exec")


def test_a_command_is_timed_in_minutes_in_an_empty_cache(
    started, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the environment of this process otherwise."""
    ticks = iter([10.0, 100.0])
    monkeypatch.setattr(processes.time, "perf_counter", lambda: next(ticks))
    monkeypatch.setenv("RBMIX_HOME", "mine")
    monkeypatch.setenv("SOMETHING", "else")
    calls = started(ended("done"))
    row = processes.command_row()
    assert row.values == [1.5]
    assert row.unit == " min"
    ((command, environment),) = calls
    assert command[:4] == [sys.executable, "-P", "-m", "robustbench_mix"]
    assert " ".join(command[4:]).startswith(row.work.split("`")[1].removeprefix("rbmix "))
    assert environment["RBMIX_HOME"] not in ("", "mine")
    assert environment["SOMETHING"] == "else"


@pytest.mark.parametrize(
    ("outcome", "detail"),
    [
        (ended(err="Traceback\n  line\nValueError: no\n", code=1), "ValueError: no"),
        (ended(code=-9), "killed by signal 9"),
        (ended(code=3), "no message"),
    ],
)
def test_a_process_that_fails_is_an_error(started, outcome, detail: str) -> None:
    """With its last line, or how it ended."""
    started(outcome)
    with pytest.raises(RbmixError, match=f"^a measured process failed: {detail}$"):
        processes.memory_row(1, 2)
