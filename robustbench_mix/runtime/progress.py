"""Messages and progress on standard error: a bar on a terminal, plain lines elsewhere.

Modules log to the loggers of their names. Nothing is shown until the edge of the program, a
command or a worker process, calls `set_quiet`.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Lock, Thread
from time import monotonic
from typing import Protocol, TypeVar

from robustbench_mix.errors import one_line
from robustbench_mix.runtime.pace import Pace, format_duration

T = TypeVar("T")
PATIENCE_SECONDS = 1.0  # work that takes longer is announced
LINE_INTERVAL_SECONDS = 20.0  # approximate longest time between two plain lines
TENTH_INTERVAL_SECONDS = 2.0  # shortest time between lines that report another tenth
REDRAW_INTERVAL_SECONDS = 0.1  # shortest time between two drawings of a bar
SILENT = logging.CRITICAL + 1  # a level that no message reaches
logger = logging.getLogger("robustbench_mix")


class _StandardError(logging.Handler):
    """Write each message as one line to standard error, after `prefix`.

    Rich's own handler would break long paths at the width of the terminal.
    """

    prefix = ""

    def emit(self, record: logging.LogRecord) -> None:
        line = one_line(record.getMessage())
        # Looked up at each message, because a drawn bar replaces the stream.
        sys.stderr.write(f"{self.prefix} {line}\n" if self.prefix else f"{line}\n")
        sys.stderr.flush()


_handler = _StandardError()


def set_quiet(quiet: bool) -> None:
    """Show nothing on standard error from now on, or all messages and progress.

    Only the edge of the program calls it. It installs the handler of the logger `robustbench_mix`.
    """
    logger.addHandler(_handler)
    logger.propagate = False
    logger.setLevel(SILENT if quiet else logging.INFO)


def is_quiet() -> bool:
    """Return whether messages and progress are hidden."""
    return not logger.isEnabledFor(logging.INFO)


@contextmanager
def silenced() -> Iterator[None]:
    """Show nothing within the block; restore the level after it."""
    before = logger.level
    logger.setLevel(SILENT)
    try:
        yield
    finally:
        logger.setLevel(before)


def ignore_library_warnings() -> None:
    """Ignore PyTorch's warning about kernels of even size: no user can change it."""
    warnings.filterwarnings("ignore", "Using padding='same' with even kernel")


def set_line_prefix(prefix: str) -> None:
    """Begin every line with `prefix` and draw no bars; used by one of several workers."""
    _handler.prefix = prefix


@contextmanager
def report_if_slow(text: str) -> Iterator[None]:
    """Log the work of the block if it takes longer than `PATIENCE_SECONDS`, and at intervals.

    Args:
        text: The work, for example `reading data set digits`.
    """
    began = said = monotonic()

    def speak() -> None:
        nonlocal said
        now = monotonic()
        if said == began:
            logger.info(text)
        elif now - said >= LINE_INTERVAL_SECONDS:
            logger.info(f"{text}: {format_duration(now - began)} so far")
        else:
            return
        said = now

    with _calling_every(PATIENCE_SECONDS, speak):
        yield


class Update(Protocol):
    """Move a progress bar.

    Args:
        done: Work done so far.
        note: Text behind the bar; '' keeps the last one.
        total: The new total; None keeps the last one.
    """

    def __call__(self, done: float, note: str = "", total: float | None = None) -> None: ...


@contextmanager
def progress_bar(description: str, total: float, done: float = 0.0) -> Iterator[Update]:
    """Show a progress bar on a terminal, and plain lines elsewhere.

    A line is shown after a moment, at every tenth, and at least every 30 seconds however long a
    step takes. Work that ends at once shows nothing.

    Args:
        description: The work in words.
        total: Total work, in any unit.
        done: Work that was done before.

    Yields:
        A function that moves the bar; it can be called at any rate.
    """
    if is_quiet():
        yield _show_nothing
    elif sys.stderr.isatty() and not _handler.prefix:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[words]}", markup=False),
        )
        with Progress(*columns, console=Console(stderr=True)) as display:
            task = display.add_task(one_line(description), total=1.0, words="")
            yield _BarOnTerminal(
                Pace(total, done),
                lambda fraction, words: display.update(task, completed=fraction, words=words),
            )
    else:
        lines = _PlainLines(description, Pace(total, done))
        with _calling_every(PATIENCE_SECONDS, lines.speak):
            yield lines
        lines.end()


def track(items: Sequence[T], description: str) -> Iterator[T]:
    """Iterate over `items` and show a progress bar."""
    with progress_bar(description, len(items)) as update:
        for i, item in enumerate(items):
            yield item
            update(i + 1)


def _show_nothing(done: float, note: str = "", total: float | None = None) -> None:
    """No-op progress callback."""


class _BarOnTerminal:
    """Redraw a bar, at most every `REDRAW_INTERVAL_SECONDS`."""

    def __init__(self, pace: Pace, draw: Callable[[float, str], None]) -> None:
        self._pace, self._draw = pace, draw
        self._note = ""
        self._drawn = -REDRAW_INTERVAL_SECONDS

    def __call__(self, done: float, note: str = "", total: float | None = None) -> None:
        self._note = note or self._note
        self._pace.update(done, total)
        if (
            self._pace.is_over
            or self._pace.elapsed_seconds - self._drawn >= REDRAW_INTERVAL_SECONDS
        ):
            self._drawn = self._pace.elapsed_seconds
            self._draw(self._pace.fraction, _describe(self._pace, self._note))


class _PlainLines:
    """Log the progress at intervals; the work and a timer call it."""

    def __init__(self, description: str, pace: Pace) -> None:
        self._description, self._pace = description, pace
        self._note = ""
        self._said = 0.0  # time of the last line, in seconds since the start
        self._tenth = pace.percent // 10
        self._first = True
        self._lock = Lock()

    def __call__(self, done: float, note: str = "", total: float | None = None) -> None:
        with self._lock:
            self._note = note or self._note
            self._pace.update(done, total)
        self.speak()

    def speak(self) -> None:
        """Log a line if it is time."""
        with self._lock:
            if not self._pace.is_over and self._is_time():
                self._say()

    def end(self) -> None:
        """Log the last line, unless the work ended at once."""
        if self._pace.is_over and (
            not self._first or self._pace.elapsed_seconds >= PATIENCE_SECONDS
        ):
            self._say()

    def _is_time(self) -> bool:
        waited = self._pace.elapsed_seconds - self._said
        if self._first and not _handler.prefix:
            return waited >= PATIENCE_SECONDS
        # One of several workers logs less.
        is_further = self._pace.percent // 10 > self._tenth and not _handler.prefix
        return waited >= (TENTH_INTERVAL_SECONDS if is_further else LINE_INTERVAL_SECONDS)

    def _say(self) -> None:
        self._first = False
        self._said = self._pace.elapsed_seconds
        self._tenth = self._pace.percent // 10
        logger.info(f"{self._description}: {_describe(self._pace, self._note)}")


def _describe(pace: Pace, note: str) -> str:
    """Return the state of the work as `45 %, 12 min left (square, 3 open)`."""
    left = pace.seconds_left
    time_left = "" if left is None else f", {format_duration(left)} left"
    return f"{pace.percent} %{time_left}{f' ({note})' if note else ''}"


@contextmanager
def _calling_every(seconds: float, call: Callable[[], None]) -> Iterator[None]:
    """Call a function at fixed intervals, from its own thread, while the block runs."""
    over = Event()

    def work() -> None:
        while not over.wait(seconds):
            call()

    thread = Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
