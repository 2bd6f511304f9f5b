"""Run tasks in several processes on this machine."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import connection, get_context, parent_process
from multiprocessing.connection import Connection
from typing import Any

import torch

from robustbench_mix.runtime import output, progress
from robustbench_mix.sweeps.scheduler import (
    OnState,
    RunTask,
    Scheduler,
    Task,
    ignore_state,
    try_task,
)

logger = logging.getLogger(__name__)

VISIBLE_DEVICES = "CUDA_VISIBLE_DEVICES"
PATIENCE_SECONDS = 10.0  # time for a stopped worker to save its state


def run_in_processes(
    tasks: Sequence[Task],
    run_task: RunTask,
    on_state: OnState = ignore_state,
    *,
    workers: int,
    cards: Sequence[str] = (),
) -> list[str]:
    """Run the tasks in several processes at once, each with its share of the cores.

    The cores are those that PyTorch would use here; if `OMP_NUM_THREADS` is set, each worker takes
    that many. If a worker dies, its task has failed. No worker is left afterwards.

    Args:
        tasks: The tasks, which are pickled.
        run_task: Runs a task; raises RbmixError if it fails. It is pickled.
        on_state: Called whenever a task starts, ends or fails.
        workers: Number of processes.
        cards: The numbers of the GPUs; each worker sees one of them.

    Returns:
        The messages of the tasks that failed.
    """
    scheduler = Scheduler(tasks, on_state)
    at_work: dict[Any, tuple[_Worker, int, Task]] = {}  # by pipe
    idle: list[_Worker] = []
    fixed = "OMP_NUM_THREADS" in os.environ
    threads = torch.get_num_threads() if fixed else max(torch.get_num_threads() // workers, 1)
    try:
        while True:
            while len(at_work) < workers and (taken := scheduler.next_task()):
                idle = [worker for worker in idle if worker.process.is_alive()]
                busy = [one for one, _, _ in at_work.values()]
                worker = (
                    idle.pop() if idle else _Worker(run_task, threads, _least_used(cards, busy))
                )
                worker.begin(scheduler.prefix(taken[0]), taken[1])
                at_work[worker.pipe] = (worker, *taken)
            if not at_work:
                return scheduler.failures
            for pipe in connection.wait(list(at_work)):
                worker, number, task = at_work.pop(pipe)
                error, is_alive = worker.outcome()
                scheduler.finish(number, task, error)
                if not error:
                    logger.info(f"{scheduler.prefix(number)} done")
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


class _Worker:
    """A process that runs one task after the other."""

    def __init__(self, run_task: RunTask, threads: int, card: str = "") -> None:
        context = get_context("spawn")  # a fork would inherit locks and thread pools half-way
        self.pipe, end = context.Pipe()
        self.process = context.Process(
            target=_serve, args=(end, run_task, threads, progress.is_quiet()), daemon=True
        )
        self.card = card
        with _without_interrupts(), _visible_gpu(card):
            self.process.start()
        end.close()

    def begin(self, prefix: str, task: Task) -> None:
        """Send it a task; the lines that it logs begin with `prefix`."""
        with suppress(OSError):  # it has just died, which `outcome` reports
            self.pipe.send((prefix, task))

    def outcome(self) -> tuple[str, bool]:
        """Return why its task failed ('' if it did not), and whether it can take another."""
        try:
            return str(self.pipe.recv()), True
        except (EOFError, OSError):
            self.process.join()
            code = self.process.exitcode or 0
            ended = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
            return f"its worker {ended}; the same command tries again", False


def _least_used(cards: Sequence[str], workers: Iterable[_Worker]) -> str:
    """Return the GPU that the fewest of these workers use, '' if there are none."""
    used = [worker.card for worker in workers]
    return min(cards, key=used.count, default="")


@contextmanager
def _visible_gpu(card: str) -> Iterator[None]:
    """Show processes that start within the block only this GPU, or all GPUs if it is ''."""
    if not card:
        yield
        return
    before = os.environ.get(VISIBLE_DEVICES)
    os.environ[VISIBLE_DEVICES] = card
    try:
        yield
    finally:
        if before is None:
            del os.environ[VISIBLE_DEVICES]
        else:
            os.environ[VISIBLE_DEVICES] = before


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Block Ctrl-C for processes that start within the block, and delay it for this process."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(pipe: Connection, run_task: RunTask, threads: int, quiet: bool) -> None:
    """Run tasks until a SIGTERM, which is handled like Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    try:
        while True:
            prefix, task = pipe.recv()
            progress.set_line_prefix(prefix)
            progress.set_quiet(quiet)
            output.keep_stdout()
            progress.ignore_library_warnings()
            pipe.send(try_task(run_task, task))
    except (KeyboardInterrupt, EOFError, BrokenPipeError):
        os._exit(0)  # the resume state is saved by now


def _end_with_parent() -> None:
    """End at once when the parent ends, even by SIGKILL, because nothing would read the outcome."""
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)
