"""Who does the pieces of a sweep: this process, or several worker processes.

A runner takes pieces and what to do with one, and gives back what failed. A piece starts when
nothing that it needs is still to be made; where something it needs could not be made, it fails
without being tried. Whatever fails, the others go on.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing import connection, get_context, parent_process
from multiprocessing.connection import Connection
from typing import Any, Protocol

import torch

from robustbench_mix import progress
from robustbench_mix.errors import RbmixError, is_out_of_memory
from robustbench_mix.progress import say

PATIENCE_SECONDS = 10.0  # for a worker to keep what it has when it is told to stop


class Piece(Protocol):
    """Something to do: `words` name it, `makes` what others may need ('' if nothing)."""

    @property
    def words(self) -> str: ...
    @property
    def makes(self) -> str: ...
    @property
    def needs(self) -> tuple[str, ...]: ...


Do = Callable[[Any], None]  # raises RbmixError
Runner = Callable[[Sequence[Piece], Do], list[str]]


def runner(workers: int) -> Runner:
    """One worker is this process; raises RbmixError for fewer."""
    if workers < 1:
        raise RbmixError(f"number of workers {workers} must be at least 1")
    return in_turn if workers == 1 else partial(in_processes, workers=workers)


class Agenda:
    """The pieces that wait or are at work, by their number from 1, and what failed."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self.waiting = dict(enumerate(pieces, start=1))
        self.total = len(pieces)
        self._making: dict[int, str] = {}
        self._lost: set[str] = set()
        self._failures: dict[int, str] = {}

    @property
    def failures(self) -> list[str]:
        """What failed and why, in the order of the pieces."""
        return [self._failures[number] for number in sorted(self._failures)]

    def take(self) -> tuple[int, Piece] | None:
        """The first piece that can be started, None if all wait for what is being made."""
        pending = set(self._making.values()) - {""}
        for number, piece in list(self.waiting.items()):
            if self._lost & set(piece.needs):
                del self.waiting[number]
                self._fail(number, piece, "not tried, its training failed")
            elif not pending & {piece.makes, *piece.needs}:
                del self.waiting[number]
                self._making[number] = piece.makes
                say(f"{self.tag(number)} {piece.words}")
                return number, piece
            pending |= {piece.makes} - {""}
        return None

    def done(self, number: int, piece: Piece, error: str = "") -> None:
        """Note that a piece ended, and how."""
        del self._making[number]
        if error:
            self._fail(number, piece, error)

    def tag(self, number: int) -> str:
        """What its lines begin with."""
        return f"[{number}/{self.total}]"

    def _fail(self, number: int, piece: Piece, error: str) -> None:
        self._lost |= {piece.makes} - {""}
        self._failures[number] = f"{piece.words}: {error}"
        say(f"{self.tag(number)} failed: {error}")


def in_turn(pieces: Sequence[Piece], do: Do) -> list[str]:
    """Do the pieces one after the other, in this process."""
    agenda = Agenda(pieces)
    while taken := agenda.take():
        number, piece = taken
        agenda.done(number, piece, _attempt(do, piece))
    return agenda.failures


def in_processes(pieces: Sequence[Piece], do: Do, *, workers: int) -> list[str]:
    """Do the pieces in so many processes at once, each with its share of the cores.

    `do` and the pieces are pickled. The cores are those that PyTorch would use here; where
    `OMP_NUM_THREADS` is set, it is what each worker takes. A worker that dies is the failure of
    its piece. However this ends, no worker is left.
    """
    agenda = Agenda(pieces)
    at_work: dict[Any, tuple[_Worker, int, Piece]] = {}  # by pipe
    idle: list[_Worker] = []
    fixed = "OMP_NUM_THREADS" in os.environ
    threads = torch.get_num_threads() if fixed else max(torch.get_num_threads() // workers, 1)
    try:
        while True:
            while len(at_work) < workers and (taken := agenda.take()):
                idle = [worker for worker in idle if worker.process.is_alive()]
                worker = idle.pop() if idle else _Worker(do, threads)
                worker.begin(agenda.tag(taken[0]), taken[1])
                at_work[worker.pipe] = (worker, *taken)
            if not at_work:
                return agenda.failures
            for pipe in connection.wait(list(at_work)):
                worker, number, piece = at_work.pop(pipe)
                error, is_alive = worker.outcome()
                agenda.done(number, piece, error)
                if not error:
                    say(f"{agenda.tag(number)} done")
                if is_alive:
                    idle.append(worker)
    finally:
        everybody = [*idle, *(worker for worker, _, _ in at_work.values())]
        for worker in everybody:
            worker.process.terminate()
        for worker in everybody:
            worker.process.join(PATIENCE_SECONDS)
            worker.process.kill()
            worker.process.join()


def _attempt(do: Do, piece: Piece) -> str:
    """Do a piece; what went wrong that others need not care about, '' if nothing."""
    try:
        do(piece)
    except RbmixError as error:
        return str(error)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return "out of memory"
    return ""


class _Worker:
    """A process that does one piece after the other."""

    def __init__(self, do: Do, threads: int) -> None:
        context = get_context("spawn")  # a fork would inherit locks and thread pools half-way
        self.pipe, end = context.Pipe()
        self.process = context.Process(
            target=_serve, args=(end, do, threads, progress.is_quiet()), daemon=True
        )
        with _without_interrupts():
            self.process.start()
        end.close()

    def begin(self, tag: str, piece: Piece) -> None:
        """Give it a piece; what it has to say about it begins with `tag`."""
        with suppress(OSError):  # it died just now: `outcome` says so
            self.pipe.send((tag, piece))

    def outcome(self) -> tuple[str, bool]:
        """What went wrong with its piece ('' if nothing), and whether it can take another."""
        try:
            return str(self.pipe.recv()), True
        except (EOFError, OSError):
            self.process.join()
            code = self.process.exitcode or 0
            ended = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
            return f"its worker {ended}; the same command tries again", False


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """A process that is started within the block never sees Ctrl-C; this one sees it later."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(pipe: Connection, do: Do, threads: int, quiet: bool) -> None:
    """Do pieces until told to stop, by a SIGTERM that is taken as Ctrl-C is elsewhere."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    try:
        while True:
            tag, piece = pipe.recv()
            progress.lines_only(tag)
            progress.set_quiet(quiet)
            progress.hush_libraries()
            pipe.send(_attempt(do, piece))
    except (KeyboardInterrupt, EOFError, BrokenPipeError):
        os._exit(0)  # what was under way is kept by now


def _end_with_parent() -> None:
    """End at once when the parent does, even by SIGKILL: nobody would take the outcome."""
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)
