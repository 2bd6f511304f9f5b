"""Pieces as tasks of a Ray cluster (docs.ray.io): Ray places them, and runs those of a lost node
again elsewhere.

A task works in the same folders as this process would: results and cache are on a file system
that all nodes share, or the results are at a URL.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any

import torch

from robustbench_mix.errors import RbmixError, first_line
from robustbench_mix.runtime import progress, provenance
from robustbench_mix.runtime.progress import say
from robustbench_mix.storage.paths import home
from robustbench_mix.sweeps.executors.base import Runner
from robustbench_mix.sweeps.scheduler import Agenda, Do, Note, Piece, attempt

SHARED = ("RBMIX_HOME", "OMP_NUM_THREADS", "SOURCE_DATE_EPOCH")  # what tasks take over
MANY = 10**6  # more than any cluster does at once
ANSWER_SECONDS = 10.0  # for the machine at an address to take a connection
TRIES_AGAIN = 3  # times that a task is run again whose node or process was lost


@dataclass(frozen=True)
class Share:
    """What one task is given: whole processors, and GPUs or a part of one."""

    num_cpus: int
    num_gpus: float


@dataclass(frozen=True)
class Scene:
    """What a task should find as it is here."""

    folder: str
    versions: dict[str, str]
    quiet: bool


@contextmanager
def connected(address: str | None, workers: int | None, device: str) -> Iterator[Runner]:
    """A runner on the cluster at this address, for the block.

    Unless given, the address is `RAY_ADDRESS`, or a cluster is started on this machine and stopped
    afterwards. Raises RbmixError if Ray is not installed or there is no such cluster, or if no
    node has what `device` asks for.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_DEDUP_LOGS", "0")  # our lines look alike, and say different things
    if "NO_COLOR" in os.environ or not sys.stderr.isatty():
        os.environ.setdefault("RAY_COLOR_PREFIX", "0")
    try:
        import ray
    except ImportError as error:
        raise RbmixError(
            f'--runner ray needs Ray ({error}): pip install "robustbench-mix[cluster]"'
        ) from error
    asked = address or os.environ.get("RAY_ADDRESS", "")
    _check_reachable(asked)
    shared = {name: os.environ[name] for name in SHARED if name in os.environ}
    if "RBMIX_HOME" in shared:
        shared["RBMIX_HOME"] = str(home().absolute())
    try:
        ray.init(
            address, log_to_driver=not progress.is_quiet(), logging_level=logging.ERROR,
            configure_logging=False, runtime_env={"env_vars": shared},
        )  # fmt: skip
    except Exception as error:  # Ray has several kinds, and passes on those of others
        where = asked or "this machine"
        raise RbmixError(f"no Ray cluster at {where}: {first_line(error)}") from error
    try:
        nodes = _nodes(ray)
        given = share(nodes, workers, device)
        scene = Scene(str(Path.cwd()), provenance.versions(), progress.is_quiet())
        yield Runner(
            run=partial(_run, ray, given, scene, workers),
            ask=partial(_ask, ray, given, scene),
            words=f"Ray, {len(nodes)} {'nodes' if len(nodes) > 1 else 'node'}",
            room=min(workers or MANY, _room(ray, given)),
        )
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Raise RbmixError where nobody listens at HOST:PORT: Ray itself tries for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():  # `auto`, `local`: Ray knows
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS).close()
    except (OSError, OverflowError, UnicodeError) as error:
        raise RbmixError(f"no Ray cluster at {address}: {first_line(error)}") from error


def share(nodes: Sequence[dict[str, float]], workers: int | None, device: str) -> Share:
    """What each of so many tasks at once gets of nodes with `CPU` and `GPU`.

    Without a number, one GPU or one processor each. Raises RbmixError if there is no such device.
    """
    cards = sum(int(node.get("GPU", 0)) for node in nodes)
    if device not in ("auto", "cpu", "cuda"):
        raise RbmixError(f"device {device!r}: Ray chooses which (allowed: auto, cpu, cuda)")
    if device == "cuda" and not cards:
        raise RbmixError("device 'cuda': no node of the cluster has a GPU (allowed: auto, cpu)")
    if device != "cpu" and cards:
        return Share(1, 1 / ceil((workers or cards) / cards))
    cores = [int(node.get("CPU", 0)) for node in nodes]
    if not any(cores):
        raise RbmixError("no node of the cluster has a processor to give")
    fixed = os.environ.get("OMP_NUM_THREADS", "")
    if fixed.isdecimal() and int(fixed) > 0:
        return Share(min(int(fixed), max(cores)), 0)  # more than a node has would wait for ever
    widest = range(max(cores), 1, -1)
    return Share(next((n for n in widest if workers and _fitting(cores, n) >= workers), 1), 0)


def _fitting(sizes: Sequence[float], part: float) -> int:
    """How many parts of this size fit into pieces of these sizes."""
    return sum(int(size / part + 1e-9) for size in sizes)


def _nodes(ray: Any) -> list[dict[str, float]]:
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _room(ray: Any, given: Share) -> int:
    """How many tasks the nodes that are there now can do at once."""
    rooms = [
        min(_fitting([node.get("CPU", 0)], given.num_cpus),
            _fitting([node.get("GPU", 0)], given.num_gpus) if given.num_gpus else MANY)
        for node in _nodes(ray)
    ]  # fmt: skip
    return max(sum(rooms), 1)


def _run(
    ray: Any,
    given: Share,
    scene: Scene,
    workers: int | None,
    pieces: Sequence[Piece],
    do: Do,
    note: Note,
) -> list[str]:
    """Do the pieces; as many are handed over as find room, so that what is said to run does."""
    agenda = Agenda(pieces, note)
    task = _task(ray, given)
    do = ray.put(do)
    at_work: dict[Any, tuple[int, Piece]] = {}
    while True:
        room = min(workers or MANY, _room(ray, given))
        while len(at_work) < room and (taken := agenda.take()):
            number, piece = taken
            at_work[task.remote(_do, scene, agenda.tag(number), do, piece)] = taken
        if not at_work:
            return agenda.failures
        ended, _ = ray.wait(list(at_work))
        for one in ended:
            number, piece = at_work.pop(one)
            error, _ = _outcome(ray, one)
            agenda.done(number, piece, error)
            if not error:
                say(f"{agenda.tag(number)} done")


def _ask(ray: Any, given: Share, scene: Scene, function: Callable[..., Any], *args: Any) -> Any:
    """What the function returns on a node; raises RbmixError where it did."""
    error, found = _outcome(ray, _task(ray, given).remote(_call, scene, "", function, *args))
    if error:
        raise RbmixError(error)
    return found


def _task(ray: Any, given: Share) -> Any:
    # Named functions of this package: a node that has another version of it says so.
    return ray.remote(max_retries=TRIES_AGAIN, **asdict(given))(_start)


def _outcome(ray: Any, task: Any) -> tuple[str, Any]:
    """What went wrong with a task ('' if nothing), and what it returned."""
    try:
        error, found = ray.get(task)
        return error, found
    except ray.exceptions.RayTaskError as error:
        return f"its task failed: {first_line(error.cause)}", None
    except ray.exceptions.RayError as error:
        kind = type(error).__name__.removesuffix("Error")
        return f"its task was lost ({kind}); the same command tries again", None


def _start(work: Callable[..., tuple[str, Any]], scene: Scene, tag: str, *args: Any) -> Any:
    """On a node: set the scene, then work."""
    if (found := provenance.versions()) != scene.versions:
        names = [name for name in found if found[name] != scene.versions.get(name)]
        return f"a node has {names[0]} {found[names[0]]}, not {scene.versions[names[0]]}", None
    with suppress(OSError):  # paths that are not relative are found all the same
        os.chdir(scene.folder)
    if threads := os.environ.get("OMP_NUM_THREADS"):  # set by Ray where the user has not
        torch.set_num_threads(int(threads))
    progress.lines_only(tag)
    progress.set_quiet(scene.quiet)
    progress.hush_libraries()
    return work(*args)


def _do(do: Do, piece: Piece) -> tuple[str, None]:
    return attempt(do, piece), None


def _call(function: Callable[..., Any], *args: Any) -> tuple[str, Any]:
    try:
        return "", function(*args)
    except RbmixError as error:
        return str(error), None
