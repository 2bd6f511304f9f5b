"""Progress on standard error: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, TypeVar

from robustbench_mix.errors import one_line

T = TypeVar("T")
_quiet = False
_tag = ""


def set_quiet(quiet: bool) -> None:
    """Turn every progress display and message of this module off or on."""
    global _quiet
    _quiet = quiet


def is_quiet() -> bool:
    """Whether nothing is displayed."""
    return _quiet


def hush_libraries() -> None:
    """Ignore what PyTorch says of kernels of even size, which no user can change."""
    warnings.filterwarnings("ignore", "Using padding='same' with even kernel")


def lines_only(tag: str) -> None:
    """Show no bars, and begin every line with `tag`: one of several that speak at once."""
    global _tag
    _tag = tag


@contextmanager
def silenced() -> Iterator[None]:
    """Quiet within the block, as before after it."""
    before = _quiet
    set_quiet(True)
    try:
        yield
    finally:
        set_quiet(before)


def say(text: str) -> None:
    """One line on standard error, unless quiet."""
    if not _quiet:
        sys.stderr.write(f"{_tag} {one_line(text)}\n" if _tag else f"{one_line(text)}\n")
        sys.stderr.flush()


class Update(Protocol):
    """Moves a bar to `done` and shows `note` behind it."""

    def __call__(self, done: int, note: str = "") -> None: ...


@contextmanager
def bar(description: str, total: int) -> Iterator[Update]:
    """Yield a function that moves the bar; about ten plain lines where there is no terminal."""
    if _quiet or _tag:
        yield _silent
    elif sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.completed}/{task.total}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
        )
        with Progress(*columns, console=Console(stderr=True)) as display:
            task = display.add_task(one_line(description), total=total, note="")
            yield lambda done, note="": display.update(task, completed=done, note=note)
    else:
        yield _plain(description, total)


def _silent(done: int, note: str = "") -> None:
    """Show nothing."""


def _plain(description: str, total: int) -> Update:
    shown = 0

    def update(done: int, note: str = "") -> None:
        nonlocal shown
        tenth = 10 * done // total if total else 10
        if tenth > shown:
            shown = tenth
            say(f"{description}: {done}/{total}{'  ' + note if note else ''}")

    return update


def track(items: Sequence[T], description: str) -> Iterator[T]:
    """Iterate over `items` with a bar."""
    with bar(description, len(items)) as update:
        for i, item in enumerate(items):
            yield item
            update(i + 1)
