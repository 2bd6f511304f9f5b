"""Keep standard output for the answer of a command, whatever networks and libraries print.

What they print is told as a message instead: its first line at once, and at the end how many more
lines there were. Their warnings become messages of one line too. What compiled code prints past
Python goes to standard error as it is.
"""

from __future__ import annotations

import ctypes
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

logger = logging.getLogger(__name__)

STDOUT, STDERR = 1, 2  # descriptors of a process


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


class _Descriptor:
    """Standard output of the process, which points to standard error until it is put back."""

    def __init__(self, stdout: TextIO) -> None:
        """Point it elsewhere; `stream` then writes where it pointed before.

        Args:
            stdout: Python's stream. One that is not on the descriptor changes nothing.
        """
        self.stream, self.kept = stdout, -1
        if not (isinstance(stdout, io.TextIOWrapper) and _is_on(stdout, STDOUT)):
            return
        if sys.__stderr__ is None:  # closed: its descriptor may be that of a file by now
            return
        stdout.flush()
        self.kept = os.dup(STDOUT)
        os.dup2(STDERR, STDOUT)
        self.stream = open(  # noqa: SIM115
            self.kept, "w", encoding=stdout.encoding, errors=stdout.errors, closefd=False,
            buffering=1,
        )  # fmt: skip

    def put_back(self) -> None:
        """Point standard output where it pointed before."""
        if self.kept < 0:
            return
        self.stream.flush()
        _flush_c()
        os.dup2(self.kept, STDOUT)
        os.close(self.kept)


def _is_on(stream: TextIO, descriptor: int) -> bool:
    try:
        return stream.fileno() == descriptor
    except OSError:  # a stream of a notebook or a test
        return False


def _flush_c() -> None:
    """Write out what compiled code printed and the C library still holds."""
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).fflush(None)


class _Aside(io.TextIOWrapper):
    """A text stream in place of standard output."""

    def __init__(self, stdout: TextIO) -> None:
        self.lines = _Lines()
        self.python, self.descriptor = stdout, _Descriptor(stdout)
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
        aside, sys.stdout = sys.stdout, sys.stdout.python
        aside.flush()
        aside.descriptor.put_back()
        aside.lines.end()


def answer_stream() -> TextIO:
    """Return standard output for what the command itself prints, kept free or not."""
    return sys.stdout.descriptor.stream if isinstance(sys.stdout, _Aside) else sys.stdout


@contextmanager
def warnings_as_messages() -> Iterator[None]:
    """Show each warning within the block as a message of one line."""
    with warnings.catch_warnings():
        warnings.showwarning = _show
        yield


def _show(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
    logger.info(f"{category.__name__}: {message}")
