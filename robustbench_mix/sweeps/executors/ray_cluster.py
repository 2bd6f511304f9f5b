"""Run tasks on a Ray cluster (docs.ray.io).

Ray places the tasks, and repeats those of a lost node on another one. A task works in the same
folders as this process: results and cache are on a file system that all nodes share, or the results
are at a URL.
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
from robustbench_mix.storage.paths import cache_folder
from robustbench_mix.sweeps.executors.base import Executor
from robustbench_mix.sweeps.scheduler import OnState, RunTask, Scheduler, Task, try_task

logger = logging.getLogger(__name__)

SHARED_VARIABLES = ("RBMIX_HOME", "OMP_NUM_THREADS", "SOURCE_DATE_EPOCH")  # copied to tasks
UNLIMITED = 10**6  # more tasks than any cluster runs at once
CONNECT_TIMEOUT_SECONDS = 10.0
MAX_RETRIES = 3  # retries of a task whose node or process was lost


@dataclass(frozen=True)
class TaskResources:
    """The resources of one task: whole processors, and GPUs or a part of one."""

    num_cpus: int
    num_gpus: float


@dataclass(frozen=True)
class WorkerSetup:
    """The settings that a worker takes from this process: folder, versions, quietness."""

    folder: str
    versions: dict[str, str]
    quiet: bool


@contextmanager
def connect(address: str | None, workers: int | None, device: str) -> Iterator[Executor]:
    """Yield an executor on a Ray cluster.

    Args:
        address: HOST:PORT of the cluster. The default is `RAY_ADDRESS`; without that, a cluster is
            started on this machine and stopped after the block.
        workers: Number of tasks that run at once; None runs as many as fit.
        device: `auto`, `cpu` or `cuda`.

    Raises:
        RbmixError: Ray is not installed, there is no such cluster, or no node has such a device.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_DEDUP_LOGS", "0")  # Ray would drop similar lines of our log
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
    shared = {name: os.environ[name] for name in SHARED_VARIABLES if name in os.environ}
    if "RBMIX_HOME" in shared:
        shared["RBMIX_HOME"] = str(cache_folder().absolute())
    try:
        ray.init(
            address, log_to_driver=not progress.is_quiet(), logging_level=logging.ERROR,
            configure_logging=False, runtime_env={"env_vars": shared},
        )  # fmt: skip
    except Exception as error:  # Ray raises several kinds, and passes on those of other packages
        where = asked or "this machine"
        raise RbmixError(f"no Ray cluster at {where}: {first_line(error)}") from error
    try:
        nodes = _nodes(ray)
        resources = resources_per_task(nodes, workers, device)
        setup = WorkerSetup(str(Path.cwd()), provenance.versions(), progress.is_quiet())
        yield Executor(
            run=partial(_run_tasks, ray, resources, setup, workers),
            call=partial(_call_on_node, ray, resources, setup),
            description=f"Ray, {len(nodes)} {'nodes' if len(nodes) > 1 else 'node'}",
            capacity=min(workers or UNLIMITED, _capacity(ray, resources)),
        )
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Raise RbmixError if nothing listens at HOST:PORT; Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():  # `auto`, `local`: Ray knows
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_TIMEOUT_SECONDS).close()
    except (OSError, OverflowError, UnicodeError) as error:
        raise RbmixError(f"no Ray cluster at {address}: {first_line(error)}") from error


def resources_per_task(
    nodes: Sequence[dict[str, float]], workers: int | None, device: str
) -> TaskResources:
    """Return the resources of each task for a number of tasks at once.

    Args:
        nodes: The `CPU` and `GPU` of each node.
        workers: Number of tasks that run at once; None gives each one GPU or one processor.
        device: `auto`, `cpu` or `cuda`.

    Raises:
        RbmixError: No node has such a device.
    """
    cards = sum(int(node.get("GPU", 0)) for node in nodes)
    if device not in ("auto", "cpu", "cuda"):
        raise RbmixError(f"device {device!r}: Ray chooses which (allowed: auto, cpu, cuda)")
    if device == "cuda" and not cards:
        raise RbmixError("device 'cuda': no node of the cluster has a GPU (allowed: auto, cpu)")
    if device != "cpu" and cards:
        return TaskResources(1, 1 / ceil((workers or cards) / cards))
    cores = [int(node.get("CPU", 0)) for node in nodes]
    if not any(cores):
        raise RbmixError("no node of the cluster has a processor to give")
    fixed = os.environ.get("OMP_NUM_THREADS", "")
    if fixed.isdecimal() and int(fixed) > 0:
        # A task that needs more than any node has would wait for ever.
        return TaskResources(min(int(fixed), max(cores)), 0)
    widest = range(max(cores), 1, -1)
    return TaskResources(
        next((n for n in widest if workers and _count_fitting(cores, n) >= workers), 1), 0
    )


def _count_fitting(sizes: Sequence[float], part: float) -> int:
    """Return how many parts of this size fit into nodes of these sizes."""
    return sum(int(size / part + 1e-9) for size in sizes)


def _nodes(ray: Any) -> list[dict[str, float]]:
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _capacity(ray: Any, resources: TaskResources) -> int:
    """Return how many tasks the current nodes can run at once."""

    def of_node(node: dict[str, float]) -> int:
        tasks = _count_fitting([node.get("CPU", 0)], resources.num_cpus)
        if not resources.num_gpus:
            return tasks
        return min(tasks, _count_fitting([node.get("GPU", 0)], resources.num_gpus))

    return max(sum(of_node(node) for node in _nodes(ray)), 1)


def _run_tasks(
    ray: Any,
    resources: TaskResources,
    setup: WorkerSetup,
    workers: int | None,
    tasks: Sequence[Task],
    run_task: RunTask,
    on_state: OnState,
) -> list[str]:
    """Run the tasks; submit only as many as fit, so that tasks reported as running do run."""
    scheduler = Scheduler(tasks, on_state)
    handle = _remote_function(ray, resources)
    run_task = ray.put(run_task)
    at_work: dict[Any, tuple[int, Task]] = {}
    while True:
        capacity = min(workers or UNLIMITED, _capacity(ray, resources))
        while len(at_work) < capacity and (taken := scheduler.next_task()):
            number, task = taken
            at_work[handle.remote(_run_task, setup, scheduler.prefix(number), run_task, task)] = (
                taken
            )
        if not at_work:
            return scheduler.failures
        ended, _ = ray.wait(list(at_work))
        for one in ended:
            number, task = at_work.pop(one)
            error, _ = _outcome(ray, one)
            scheduler.finish(number, task, error)
            if not error:
                logger.info(f"{scheduler.prefix(number)} done")


def _call_on_node(
    ray: Any,
    resources: TaskResources,
    setup: WorkerSetup,
    function: Callable[..., Any],
    *args: Any,
) -> Any:
    """Call a function on a node and return its result; raise RbmixError if the function does."""
    error, found = _outcome(
        ray,
        _remote_function(ray, resources).remote(_call_function, setup, "", function, *args),
    )
    if error:
        raise RbmixError(error)
    return found


def _remote_function(ray: Any, resources: TaskResources) -> Any:
    # Functions of this package are found by name: a node with another version reports that.
    return ray.remote(max_retries=MAX_RETRIES, **asdict(resources))(_set_up_and_run)


def _outcome(ray: Any, handle: Any) -> tuple[str, Any]:
    """Return why a task failed ('' if it did not), and what it returned."""
    try:
        error, found = ray.get(handle)
        return error, found
    except ray.exceptions.RayTaskError as error:
        return f"its task failed: {first_line(error.cause)}", None
    except ray.exceptions.RayError as error:
        kind = type(error).__name__.removesuffix("Error")
        return f"its task was lost ({kind}); the same command tries again", None


def _set_up_and_run(
    work: Callable[..., tuple[str, Any]], setup: WorkerSetup, prefix: str, *args: Any
) -> Any:
    """Apply the setup on a node, then work."""
    if (found := provenance.versions()) != setup.versions:
        names = [name for name in found if found[name] != setup.versions.get(name)]
        return (
            f"a node has {names[0]} {found[names[0]]}, not {setup.versions[names[0]]}",
            None,
        )
    with suppress(OSError):  # absolute paths do not depend on the folder
        os.chdir(setup.folder)
    if threads := os.environ.get("OMP_NUM_THREADS"):  # set by Ray where the user has not
        torch.set_num_threads(int(threads))
    progress.set_line_prefix(prefix)
    progress.set_quiet(setup.quiet)
    progress.ignore_library_warnings()
    return work(*args)


def _run_task(run_task: RunTask, task: Task) -> tuple[str, None]:
    return try_task(run_task, task), None


def _call_function(function: Callable[..., Any], *args: Any) -> tuple[str, Any]:
    try:
        return "", function(*args)
    except RbmixError as error:
        return str(error), None
