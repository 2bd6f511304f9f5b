"""Keep standard output for the answer of a command, whatever networks and libraries print.

What they print is told as a message instead: its first line at once, and at the end how many more
lines there were. Their warnings become messages of one line too.
"""

from __future__ import annotations

import io
import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

logger = logging.getLogger(__name__)


class _Lines(io.RawIOBase):
    """Tell the first line that is written, and count the others."""

    def __init__(self) -> None:
        super().__init__()
        self.rest = b""
        self.count = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        *lines, self.rest = (self.rest + bytes(data)).split(b"\n")
        for line in filter(bytes.strip, lines):
            self.tell_line(line)
        return len(data)

    def tell_line(self, line: bytes) -> None:
        """Tell a line if it is the first one."""
        self.count += 1
        if self.count == 1:
            logger.info(f"printed meanwhile: {line.decode(errors='replace').strip()}")

    def end(self) -> None:
        """Tell how many lines were not told."""
        if self.rest.strip():
            self.tell_line(self.rest)
        if self.count > 1:
            logger.info(f"printed meanwhile: {self.count - 1} more lines")


class _Aside(io.TextIOWrapper):
    """A text stream in place of standard output."""

    def __init__(self, stdout: TextIO) -> None:
        self.lines = _Lines()
        self.stdout = stdout
        super().__init__(
            self.lines,  # type: ignore[arg-type]
            encoding="utf-8",
            errors="backslashreplace",
            write_through=True,
        )


def keep_stdout() -> None:
    """Keep standard output free from now on, until `release_stdout`."""
    if not isinstance(sys.stdout, _Aside):
        sys.stdout = _Aside(sys.stdout)


def release_stdout() -> None:
    """Print to standard output again; does nothing if it was not kept."""
    if isinstance(sys.stdout, _Aside):
        aside, sys.stdout = sys.stdout, sys.stdout.stdout
        aside.flush()
        aside.lines.end()


def answer_stream() -> TextIO:
    """Return standard output for what the command itself prints, kept free or not."""
    return sys.stdout.stdout if isinstance(sys.stdout, _Aside) else sys.stdout


@contextmanager
def warnings_as_messages() -> Iterator[None]:
    """Show each warning within the block as a message of one line."""
    with warnings.catch_warnings():
        warnings.showwarning = _show
        yield


def _show(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
    logger.info(f"{category.__name__}: {message}")
