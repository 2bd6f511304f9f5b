"""What is said while something runs: how far it is, how long it takes yet, and how often."""

from __future__ import annotations

import io
import logging
import re
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from robustbench_mix import cli
from robustbench_mix.config.model import ModelSpec
from robustbench_mix.data import loaders
from robustbench_mix.models import factory
from robustbench_mix.results import records
from robustbench_mix.runtime import progress
from robustbench_mix.runtime.pace import Pace
from robustbench_mix.runtime.progress import _PlainLines


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def spoken(capsys, seconds: float, step: float, speak: Callable[[float], float]) -> list[float]:
    """When lines are said in a run of so many seconds, `speak(now)` being how much is done."""
    clock = Clock()
    lines = _PlainLines("attacking", Pace(seconds, clock=clock))
    times = []
    now = 0.0
    while now < seconds:
        now += step
        clock.now = 100 + now
        lines(min(speak(now), seconds), "note")
        if capsys.readouterr().err:
            times.append(now)
    lines.end()
    assert capsys.readouterr().err == "attacking: 100 % (note)\n"
    return times


def test_lines_come_at_least_every_thirty_seconds(capsys) -> None:
    """Also where the work stands still, and a first one soon."""
    times = spoken(capsys, 600, 0.5, lambda now: now if now < 100 or now >= 599 else 100)
    assert times[0] <= 2
    assert max(b - a for a, b in pairwise(times)) <= 30
    assert len(times) < 50


def test_short_runs_say_little(capsys) -> None:
    """A line for each tenth at most, and those not faster than one can read."""
    assert len(spoken(capsys, 100, 0.01, lambda now: now)) <= 12
    assert len(spoken(capsys, 10, 0.001, lambda now: now)) <= 6


def test_what_is_over_in_a_moment_says_nothing(capsys) -> None:
    """Five hundred steps, none of which takes any time."""
    for _ in progress.track(range(500), "attacking"):
        pass
    assert capsys.readouterr() == ("", "")


def test_plain_lines_without_a_terminal(capsys) -> None:
    """On standard error, with the time that is left, no escape sequences, the end included."""
    for _ in progress.track(range(12), "attacking"):
        time.sleep(0.12)
    out, err = capsys.readouterr()
    assert out == ""
    first, *_, last = err.splitlines()
    assert re.fullmatch(r"attacking: [0-9]+ %, [0-9]+ s left", first)
    assert last == "attacking: 100 %"
    assert not set(err) & {"\x1b", "\r"}


def test_a_step_that_takes_long_is_no_silence(capsys, monkeypatch) -> None:
    """A clock speaks when the work does not."""
    monkeypatch.setattr(progress, "PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(progress, "LINE_INTERVAL_SECONDS", 0.2)
    with progress.progress_bar("attacking", 10) as update:
        time.sleep(0.9)
        said = capsys.readouterr().err.splitlines()
        update(10)
    assert len(said) >= 2
    assert set(said) == {"attacking: 0 %"}


def test_nothing_is_shown_until_the_edge_asks(capsys, monkeypatch) -> None:
    """A program that only imports the package sees no message, and no bar."""
    monkeypatch.setattr(progress.logger, "handlers", [])
    progress.logger.setLevel(logging.NOTSET)
    module = logging.getLogger("robustbench_mix.training.loop")
    module.info("hidden")
    assert progress.is_quiet()
    progress.set_quiet(False)
    module.info("100 % shown")
    progress.set_quiet(True)
    module.info("hidden")
    assert capsys.readouterr() == ("", "100 % shown\n")


def test_the_level_is_restored(capsys) -> None:
    """After a silent block, and after a silent block inside it."""
    with progress.silenced():
        with progress.silenced():
            pass
        progress.logger.info("hidden")
    progress.logger.info("shown")
    assert capsys.readouterr().err == "shown\n"


def test_what_takes_long_is_said(capsys, monkeypatch) -> None:
    """And what does not is not; nor under --quiet."""
    monkeypatch.setattr(progress, "PATIENCE_SECONDS", 0.2)
    with progress.report_if_slow("reading"):
        pass
    assert capsys.readouterr().err == ""
    with progress.report_if_slow("reading"):
        time.sleep(0.5)
    assert capsys.readouterr().err == "reading\n"
    monkeypatch.setattr(progress, "LINE_INTERVAL_SECONDS", 0.3)
    with progress.report_if_slow("reading"):
        time.sleep(1.1)
    first, *others = capsys.readouterr().err.splitlines()
    assert first == "reading"
    assert others
    assert all(re.fullmatch("reading: [0-9]+ s so far", line) for line in others)
    with progress.silenced(), progress.report_if_slow("reading"):
        time.sleep(0.4)
    assert capsys.readouterr().err == ""


def test_of_several_each_says_little(capsys, monkeypatch) -> None:
    """One line every so often behind its tag, tenths or not."""
    monkeypatch.setattr(progress._handler, "prefix", "[1/2]")
    clock = Clock()
    lines = _PlainLines("attacking", Pace(100, clock=clock))
    for now in range(1, 100):
        clock.now = 100.0 + now
        lines(now)
    said = capsys.readouterr().err.splitlines()
    assert 3 <= len(said) <= 5
    assert said[0].startswith("[1/2] attacking: 20 %")


def test_a_terminal_has_a_bar(monkeypatch) -> None:
    """It moves with the share, and ends at 100 %."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with progress.progress_bar("attacking", 100, done=30) as update:
        for done in range(31, 101):
            update(done, "square")
    assert "100 % (square)" in screen.getvalue()


def test_what_commands_wait_for_is_said(tmp_path: Path, make_run, monkeypatch, capsys) -> None:
    """Before it is done: reading, testing, drawing; and nothing under --quiet."""
    monkeypatch.setattr(progress, "PATIENCE_SECONDS", 0.0)
    monkeypatch.chdir(tmp_path)
    run = make_run([0, 1, 2])
    records.write(run, records.run_path(tmp_path / "results", run.header, "k"))
    for name, said in {
        "leaderboard": ["reading the records in results", "drawing the curves"],
        "claims": ["testing the claims on the records in results", "drawing the explanations"],
        "report": ["making a page of the records in results"],
    }.items():
        assert cli.main([name]) == 0
        lines = capsys.readouterr().err.splitlines()
        assert [line for line in lines if "so far" not in line] == said
        assert cli.main([name, "--quiet"]) == 0
        assert capsys.readouterr() == ("", "")


def test_reading_and_building_are_said(monkeypatch, capsys) -> None:
    """A data set, and a network."""
    monkeypatch.setattr(progress, "PATIENCE_SECONDS", 0.0)
    digits = loaders.load("digits")
    factory.build(ModelSpec("resnet14_w4"), factory.shape_of(digits), *digits.statistics())
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["reading data set digits", "building resnet14_w4"]


@pytest.mark.default
def test_loading_pytorch_is_said_before(tmp_path: Path) -> None:
    """In a process that has not, and not in one that is to be quiet."""
    command = [sys.executable, "-m", "robustbench_mix", "describe", "resnet14_w4"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.stderr.splitlines()[0] == "loading PyTorch"
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, cwd=tmp_path)
    assert done.stderr == ""
