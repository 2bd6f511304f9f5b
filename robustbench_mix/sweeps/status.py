"""Save and read the state of sweeps: one file each, beside the results, for any machine."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from robustbench_mix.errors import unknown
from robustbench_mix.storage import reading, validation
from robustbench_mix.storage.files import safe_name, write_text
from robustbench_mix.storage.locks import exclusive_lock, is_marked, mark
from robustbench_mix.storage.validation import Header, NonNegative, Text
from robustbench_mix.sweeps.scheduler import (
    DONE,
    FAILED,
    INTERRUPTED,
    RUNNING,
    STATES,
    WAITING,
)

FOLDER = "progress"


class _Task(Header, frozen=True, kw_only=True):
    """A task as the file stores it."""

    words: Text
    network: Text
    state: Text
    seconds: NonNegative
    since: Text
    error: Text

    def __post_init__(self) -> None:
        if self.state not in STATES:
            raise unknown("state", self.state, STATES)


class _Sweep(Header, frozen=True, kw_only=True):
    """The content of a file."""

    sweep: Text
    runner: Text
    machine: Text
    began: Text
    changed: Text
    pieces: list[_Task]


class PlannedTask(Protocol):
    """A task of a plan, as `plan.Task`."""

    @property
    def description(self) -> str: ...
    @property
    def network(self) -> str: ...
    @property
    def is_done(self) -> bool: ...
    @property
    def estimated_seconds(self) -> float: ...


@dataclass
class TaskStatus:
    """The state of a task, the time of its last change, and its estimated seconds of work."""

    words: str
    network: str
    state: str
    seconds: float
    since: str = ""
    error: str = ""


@dataclass
class SweepStatus:
    """The state of a sweep, saved at `path` whenever a task changes its state."""

    path: Path
    about: dict[str, str]
    tasks: dict[str, TaskStatus]

    def set_state(self, task: PlannedTask, state: str, error: str) -> None:
        """Set the state of a task, and save the file.

        Args:
            task: The task.
            state: One of `STATES`.
            error: Why it failed; '' if it did not.
        """
        entry = self.tasks[task.description]
        entry.state, entry.since, entry.error = state, _now(), error
        self.save()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let other processes see that the sweep runs, within the block.

        Tasks that an exception stops are saved as interrupted. A killed process saves nothing:
        `read_all` sees that it is gone.
        """
        with mark(self.path):
            try:
                yield
            except BaseException:
                stopped = [one for one in self.tasks.values() if one.state == RUNNING]
                for task in stopped:
                    task.state, task.since = INTERRUPTED, _now()
                self.save()
                raise

    def save(self) -> None:
        """Write the state to its file."""
        content = {
            **self.about, "changed": _now(), "pieces": [asdict(one) for one in self.tasks.values()]
        }  # fmt: skip
        write_text(self.path, json.dumps(content, indent=1) + "\n")


def start(results: Path, sweep: str, executor: str, tasks: Iterable[PlannedTask]) -> SweepStatus:
    """Save the state of a sweep that starts now; replace that of an earlier one of this name.

    Args:
        results: The results folder.
        sweep: The name of the sweep.
        executor: The description of the executor.
        tasks: All tasks of the plan.

    Returns:
        The state, to be changed while the sweep runs.
    """
    entries = {
        task.description: TaskStatus(
            task.description,
            task.network,
            DONE if task.is_done else WAITING,
            task.estimated_seconds,
        )
        for task in tasks
    }
    about = {"sweep": sweep, "runner": executor, "machine": socket.gethostname(), "began": _now()}
    path = results / FOLDER / f"{safe_name(sweep)}.json"
    status = SweepStatus(path, about, entries)
    with exclusive_lock(path):  # also removes half-written files of a killed process
        status.save()
    return status


def read_all(results: Path) -> list[dict[str, Any]]:
    """Read the states of all sweeps with these results.

    Tasks at work on this machine are interrupted if the process of their sweep is gone. Nothing is
    known of the processes of other machines.

    Raises:
        RbmixError: A file is damaged.
    """
    found = []
    for path in sorted((results / FOLDER).glob("*.json")):
        refusal = f"progress {path} is damaged"
        raw = reading.read_bytes(path, "progress", reading.MAX_RECORDS_BYTES)
        plain = reading.parse_json(raw, refusal)
        sweep = validation.decode(plain, _Sweep, refusal)
        if sweep.machine == socket.gethostname() and not is_marked(path):
            for task in plain["pieces"]:
                task["state"] = INTERRUPTED if task["state"] == RUNNING else task["state"]
        found.append(plain)
    return found


def count_by_network(sweep: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a row for each network: the tasks in each state, and the seconds of work left."""
    rows: dict[str, dict[str, Any]] = {}
    for task in sweep["pieces"]:
        name = task["network"]
        row = rows.setdefault(name, {"network": name, **dict.fromkeys(STATES, 0), "seconds": 0.0})
        row[task["state"]] += 1
        row["seconds"] += task["seconds"] if task["state"] not in (DONE, FAILED) else 0.0
    return list(rows.values())


def describe_unfinished(sweep: dict[str, Any]) -> list[str]:
    """Return a line for each task that runs, was interrupted or failed, and how to go on."""
    states = {task["state"] for task in sweep["pieces"]}
    stopped = INTERRUPTED in states or (FAILED in states and RUNNING not in states)
    hint = "the same `rbmix sweep` command goes on from there"
    return [
        f"{task['state']} since {task['since']}: {task['words']}"
        + (f" ({task['error']})" if task["error"] else "")
        for task in sweep["pieces"]
        if task["state"] in (RUNNING, INTERRUPTED, FAILED)
    ] + [hint] * stopped


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
